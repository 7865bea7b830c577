// A product page of a shop in React, in StrictMode, which runs effects twice.
import { createRoot } from 'react-dom/client'
import { StrictMode, useState } from 'react'
import { consent } from 'tracklog'
// [set up]
import { useEffect, useRef } from 'react'
import { init, track } from 'tracklog'

init({ url: 'https://c.example.com/event', id: 'shop', pages: true, clicks: true })

// Track once for each key, also in StrictMode, which runs effects twice.
function useTrack(key, ea, ec, more) {
  const last = useRef()
  useEffect(() => {
    if (last.current !== key) track(ea, ec, more)
    last.current = key
  }, [key])
}

function Product({ product }) {
  useTrack(product.id, 'view', 'product', { items: [{ id: product.id }] })
  return <h1>{product.name}</h1>
}
// [end]

function Shop() {
  const [product, setProduct] = useState({ id: '864115', name: 'Television' })
  const next = () => {
    history.pushState(null, '', '/next')
    setProduct({ id: '864116', name: 'Radio' })
  }
  return (
    <>
      <Product product={product} />
      <button onClick={next}>Next</button>
    </>
  )
}

consent('granted')
createRoot(document.getElementById('shop')).render(<StrictMode><Shop /></StrictMode>)
