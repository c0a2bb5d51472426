'use strict'

const axios = require('axios')
const { optionalAuth } = require('@internal/mobile-auth')

const gateway = process.env.GATEWAY_URL || 'http://gateway.openfaas:8080'
const timeout = Number(process.env.API_TIMEOUT_MS || 5000)

const search = (q) => axios.get(process.env.API_URL, { params: { q }, timeout })

const toPinyin = (q) =>
  axios.post(`${gateway}/function/pinyin`, q, {
    headers: { 'Content-Type': 'text/plain; charset=utf-8' },
    responseType: 'text',
    timeout,
  })

module.exports = optionalAuth(async (event, context) => {
  context.headers({ 'Content-Type': 'application/json' })
  const { q } = event.query
  if (!q) return context.status(400).succeed({ error: 'what to search for? ?q=… is missing' })

  try {
    const [found, pinyin] = await Promise.all([search(q), toPinyin(q)])
    return context.status(200).succeed({
      query: q,
      pinyin: pinyin.data.trim(),
      results: found.data.results,
      user: event.auth ? event.auth.user : null,
    })
  } catch (error) {
    console.error(`m-search: ${error.config ? error.config.url : ''} ${error.message}`)
    return context.status(502).succeed({ error: 'the search is not available', cause: error.message })
  }
})
