// The shop: its views, its cart, and each event that it tracks. Cart and visitor live in sessionStorage, events in the tracker.
'use strict'

const PRODUCTS = [
  { id: '864115', name: 'Harbour lamp', price: 89, picture: 'lamp', text: 'A warm light for the end of the table.' },
  { id: '864116', name: 'Stoneware mug', price: 18, picture: 'mug', text: 'Thrown by hand, and fit for the dishwasher.' },
  { id: '864117', name: 'Whistling kettle', price: 54, picture: 'kettle', text: 'Calls when the water boils.' },
  { id: '864118', name: 'Wall clock', price: 39, picture: 'clock', text: 'Silent, and right to the second.' },
  { id: '864119', name: 'Oak stool', price: 120, picture: 'stool', text: 'Holds a person, a plant or a pile of books.' },
  { id: '864120', name: 'Fern in a pot', price: 24, picture: 'fern', text: 'Wants water on Sundays and no sun.' },
  { id: '864121', name: 'Kitchen radio', price: 75, picture: 'radio', text: 'Two knobs, one speaker, no app.' },
  { id: '864122', name: 'Linen notebook', price: 14, picture: 'notebook', text: 'Ninety-six pages without lines.' },
]
const USER = 'u-8812'
const find = (id) => document.getElementById(id)
const euro = (amount) => amount.toLocaleString('en-IE', { style: 'currency', currency: 'EUR' })
const read = (key, otherwise) => JSON.parse(sessionStorage.getItem(key)) ?? otherwise
const write = (key, value) => sessionStorage.setItem(key, JSON.stringify(value))

// ---- the tracker -----------------------------------------------------------------------------------------------

const isLoaded = 'tracklog' in window
const tracklog = isLoaded ? window.tracklog : () => null // without it, as with an ad blocker, the shop works all the same
// The tracker remembers a grant on the device. Any other choice leaves nothing of it there, so the shop remembers that.
const rows = [] // one for each call of track(), newest first

tracklog('init', {
  url: new URL('/event', location.href).href,
  id: document.body.dataset.property,
  pages: true, // page views, also those of history.pushState
  clicks: true, // links that lead out, downloads, and elements with data-ea
  time: true, // how long a page was seen
  consent: read('consent', undefined),
  onDrop: (event, why) => settle((row) => row.id === event.event_id, `dropped: ${why}`),
})

let consent = tracklog('consent') ?? 'pending'
let earlier = Math.max(0, tracklog('stats')?.queued - 1) // the view of this page is in the queue, too

// Track an event, and show it in the panel.
function track(ea, ec, more) {
  const id = tracklog('track', { ea, ec, ...more })
  const about = more?.items?.map((item) => item.name).join(', ') ?? ''
  rows.unshift({ id, text: `${ea} ${ec}`, about, state: id ? 'queued' : 'not sent' })
  showRows()
}

// Give rows that still wait their final state.
function settle(isMeant, state) {
  for (const row of rows) if (row.state === 'queued' && isMeant(row)) row.state = state
  showRows()
}

// Whatever has left the queue was acknowledged: a 200 of the collector, after its fsync. What an earlier page left
// there is no matter of ours: it rests some seconds, because that page may have sent it while it closed.
function followQueue() {
  const { queued } = tracklog('stats') ?? {}
  earlier = Math.min(earlier, queued)
  if (consent !== 'pending' && queued <= earlier) settle(() => true, 'stored')
}

function showRows() {
  const stored = rows.filter((row) => row.state === 'stored').length
  find('sum').textContent = isLoaded ? `${stored} of ${rows.length} stored` : 'The tracker did not load'
  find('events').replaceChildren(...rows.map(rowOf))
}

function rowOf({ id, text, about, state }) {
  const shown = state === 'queued' && consent === 'pending' ? 'held' : state
  const item = make('li', {}, make('span', {}, make('strong', {}, text), ` ${about}`))
  item.append(make('span', { className: shown.replace(' ', '-').replace(/:.*/, '') }, shown))
  if (id) item.append(make('code', {}, id), button('Copy', () => copy(id), 'link', `Copy the command that finds ${text}`))
  return item
}

function copy(id) {
  find('find').textContent = `.venv/bin/wal cat --where event_id=${id} data/log`
  navigator.clipboard?.writeText(find('find').textContent).then(() => say('Copied'), () => {})
}

// ---- consent ---------------------------------------------------------------------------------------------------

function choose(state) {
  consent = tracklog('consent', state) ?? state // a browser with Global Privacy Control allows no more than anonymous
  write('consent', consent === 'granted' ? null : consent)
  find('banner').hidden = true
  showConsent()
}

function showConsent() {
  find('consent').textContent = consent
  showRows()
}

// ---- views -----------------------------------------------------------------------------------------------------

const make = (tag, properties, ...children) => {
  const element = Object.assign(document.createElement(tag), properties)
  element.append(...children)
  return element
}
const button = (text, onclick, className = '', ariaLabel = null) =>
  make('button', { type: 'button', className, onclick, ariaLabel }, text)
const picture = (product, alt = '') => make('img', { src: `/demo/pictures.svg#${product.picture}`, alt, width: 240, height: 240 })
const item = ({ id, name, price }, quantity = 1) => ({ id, name, price, quantity })
const sum = (items) => items.reduce((total, { price, quantity }) => total + price * quantity, 0)

const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue
    seen.unobserve(target)
    track('impression', 'product', { items: [item(target.product)] })
  }
}, { threshold: 0.6 })

function listOf(products) {
  const cards = products.map((product) => {
    const link = make('a', { href: `/demo?product=${product.id}` }, picture(product), product.name)
    return make('li', { product }, link, euro(product.price), button('Add', () => add(product), '', `Add ${product.name}`))
  })
  cards.forEach((card) => seen.observe(card))
  return make('ul', { className: 'things' }, ...cards)
}

// The tracker counts the click on the tip by itself, because the link has data-ea.
function shopView() {
  const tip = make('a', { href: '/demo?product=864120' }, 'the fern')
  Object.assign(tip.dataset, { ea: 'click', ec: 'tip' })
  return ['Things for a small home', make('p', { className: 'muted' }, 'Not sure? Everybody likes ', tip, '.'), listOf(PRODUCTS)]
}

function productView(product) {
  track('view', 'product', { items: [item(product)] })
  const about = make('div', {}, make('p', { className: 'price' }, euro(product.price)), make('p', {}, product.text))
  about.append(make('p', {}, button('Add to cart', () => add(product))))
  const others = PRODUCTS.filter((other) => other !== product).slice(0, 3)
  return [product.name, make('div', { className: 'thing' }, picture(product), about), make('h2', {}, 'More things'), listOf(others)]
}

function cartView() {
  const cart = read('cart', [])
  if (!cart.length) return ['Your cart is empty', make('a', { href: '/demo' }, 'See all things')]
  track('view', 'cart', { items: cart })
  return ['Your cart', tableOf(cart), make('p', { className: 'buttons' }, button('Check out', checkOut), button('Empty the cart', empty, 'quiet'))]
}

// A reload of this page tracks the order again, under the same id: the collector stores it once.
function thanksView(number) {
  const items = read(`order-${number}`, [])
  track('purchase', 'order', { event_id: `order-${number}`, items, extra: { revenue: sum(items), currency: 'EUR' } })
  const hint = 'Reload this page: the purchase is sent again with the same event_id, and the log has it once.'
  return ['Thank you', make('p', {}, `Your order ${number} is on its way to nobody.`), tableOf(items), make('p', { className: 'muted' }, hint)]
}

function tableOf(items) {
  const row = ({ name, price, quantity }) => make('tr', {}, make('th', { scope: 'row' }, `${quantity} × ${name}`), make('td', {}, euro(price * quantity)))
  const total = make('tr', {}, make('th', { scope: 'row' }, 'Total'), make('td', {}, euro(sum(items))))
  return make('table', {}, make('caption', {}, 'Prices include tax'), make('tbody', {}, ...items.map(row)), make('tfoot', {}, total))
}

// ---- what a visitor does ---------------------------------------------------------------------------------------

function add(product) {
  const cart = read('cart', [])
  const found = cart.find(({ id }) => id === product.id)
  if (found) found.quantity += 1
  else cart.push(item(product))
  write('cart', cart)
  track('add', 'cart', { items: [item(product)] })
  say(`${product.name} is in the cart`)
  showVisitor()
}

function empty() {
  track('empty', 'cart', { items: read('cart', []) })
  write('cart', [])
  go('/demo?cart')
}

function checkOut() {
  const number = Date.now().toString().slice(-9)
  write(`order-${number}`, read('cart', []))
  write('cart', [])
  go(`/demo?order=${number}`)
}

function sign() {
  const isIn = read('user', null) !== null
  if (isIn) track('sign_out', 'user')
  if (isIn) tracklog('reset')
  else tracklog('identify', USER)
  if (!isIn) track('sign_in', 'user')
  write('user', isIn ? null : USER)
  showVisitor()
}

function showVisitor() {
  find('in-cart').textContent = `(${read('cart', []).reduce((total, { quantity }) => total + quantity, 0)})`
  find('sign').textContent = read('user', null) ? 'Sign out Ada' : 'Sign in as Ada'
}

// Say it to screen readers, and show nothing.
function say(text) {
  find('said').textContent = text
}

// ---- routes ----------------------------------------------------------------------------------------------------

function go(url) {
  history.pushState(null, '', url)
  show()
  find('main').querySelector('h1').focus()
  scrollTo(0, 0)
}

function show() {
  const query = new URLSearchParams(location.search)
  const product = PRODUCTS.find(({ id }) => id === query.get('product'))
  const view = () => (query.has('order') ? thanksView(query.get('order')) : query.has('cart') ? cartView() : shopView())
  const [title, ...parts] = product ? productView(product) : view()
  document.title = `${title} · Loom & Lumen`
  find('main').replaceChildren(make('h1', { tabIndex: -1 }, title), ...parts)
  showVisitor()
}

document.addEventListener('click', (event) => {
  const link = event.target.closest('a[href^="/demo"]:not([download])')
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return
  event.preventDefault()
  go(link.href)
})
document.querySelectorAll('[data-consent]').forEach((each) => each.addEventListener('click', () => choose(each.dataset.consent)))
find('sign').addEventListener('click', sign)
find('reopen').addEventListener('click', () => {
  find('banner').hidden = false
  find('banner').querySelector('button').focus()
})
addEventListener('popstate', show)

find('banner').hidden = consent !== 'pending'
find('gpc').hidden = !navigator.globalPrivacyControl
find('sent').open = matchMedia('(min-width: 64rem)').matches
if (read('user', null)) tracklog('identify', USER)
show()
showConsent()
setInterval(followQueue, 250)
