"""Systems that sell, in the place of real ones: a Shopify shop and Stripe Checkout. They post webhooks in the vendors'
own forms, signed as the vendors sign, and know nothing of the product but the address that they post to."""
