window.tracklog=window.tracklog||function(){(tracklog.q=tracklog.q||[]).push([Date.now(),arguments])};
