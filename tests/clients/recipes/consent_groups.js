// [set up]
window.OptanonWrapper = function () {
  if (!OneTrust.IsAlertBoxClosed()) return // no choice yet: events wait
  var isAllowed = OnetrustActiveGroups.split(',').includes('C0002')
  tracklog('consent', isAllowed ? 'granted' : 'denied')
}
// [end]
window.OptanonWrapper()
