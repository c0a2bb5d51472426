'use strict'

const { requireAuth } = require('@internal/mobile-auth')

const notices = [
  { id: 3, text: 'Your parcel is on its way' },
  { id: 2, text: 'The library opens at ten today' },
  { id: 1, text: 'Welcome' },
]

module.exports = requireAuth(async (event, context) => {
  const limit = Number(process.env.NOTICE_LIMIT || notices.length)
  return context
    .status(200)
    .headers({ 'Content-Type': 'application/json' })
    .succeed({ user: event.auth.user, notices: notices.slice(0, limit) })
})
