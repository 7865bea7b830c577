// [set up]
__tcfapi('addEventListener', 2, function (data, isOk) {
  if (!isOk || data.eventStatus === 'cmpuishown') return // no choice yet: events wait
  var allowed = data.purpose.consents // 1: store on the device, 8: measure content
  tracklog('consent', !allowed[8] ? 'denied' : allowed[1] ? 'granted' : 'anonymous')
})
// [end]
