// A product page of a shop in Vue, whose router keeps the component for the next product.
import { createApp, h, ref } from 'vue'
import { consent } from 'tracklog'
// [set up]
import { onMounted, watch } from 'vue'
import { init, track } from 'tracklog'

init({ url: 'https://c.example.com/event', id: 'shop', pages: true, clicks: true })

// In <script setup>: useProductView(() => props.product)
function useProductView(product) {
  const view = () => track('view', 'product', { items: [{ id: product().id }] })
  onMounted(view)
  watch(() => product().id, view)
}
// [end]

const Product = {
  props: ['product'],
  setup(props) {
    useProductView(() => props.product)
    return () => h('h1', props.product.name)
  },
}
const Shop = {
  setup() {
    const product = ref({ id: '864115', name: 'Television' })
    const next = () => {
      history.pushState(null, '', '/next')
      product.value = { id: '864116', name: 'Radio' }
    }
    return () => [h(Product, { product: product.value }), h('button', { onClick: next }, 'Next')]
  },
}

consent('granted')
createApp(Shop).mount('#shop')
