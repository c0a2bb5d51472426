'use strict'
// Who is calling? A caller shows `Authorization: Bearer USER.SECRET`; the secret mobile-token lists the valid ones, a line each.

const { createHash, timingSafeEqual } = require('node:crypto')
const { readFileSync } = require('node:fs')
const { join } = require('node:path')

const digest = (text) => createHash('sha256').update(text).digest()

/** Read on each call, so that a changed secret counts at once. */
function validTokens() {
  const folder = process.env.secret_mount_path || '/var/openfaas/secrets'
  return readFileSync(join(folder, 'mobile-token'), 'utf8').split(/\s+/).filter(Boolean)
}

function authOf(event) {
  const [, token] = /^Bearer (\S+)$/i.exec(event.headers.authorization || '') || []
  if (token === undefined) return undefined
  // Hashes have one length, so comparing them tells nothing about the token.
  const known = validTokens().some((valid) => timingSafeEqual(digest(valid), digest(token)))
  return known ? { user: token.split('.')[0], token } : undefined
}

/** The handler is reached with `event.auth = { user, token }`, everybody else is answered 401. */
function requireAuth(handler) {
  return async (event, context) => {
    const auth = authOf(event)
    if (auth === undefined) {
      return context
        .status(401)
        .headers({ 'Content-Type': 'application/json', 'WWW-Authenticate': 'Bearer realm="mobile"' })
        .succeed({ error: 'a valid token is needed: Authorization: Bearer …' })
    }
    return handler(Object.assign(event, { auth }), context)
  }
}

/** The handler is always reached; `event.auth` is there when the caller showed a valid token. */
function optionalAuth(handler) {
  return async (event, context) => handler(Object.assign(event, { auth: authOf(event) }), context)
}

module.exports = { requireAuth, optionalAuth }
