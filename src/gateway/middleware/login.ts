import { createHash, timingSafeEqual } from 'node:crypto'
import type { Middleware } from 'koa'
import type { Login } from '../../core/login.ts'

/** What is protected as a whole, unknown paths below it included. Metrics have a listener of their own that is open. */
const PROTECTED = /^\/(system|ui|metrics)(\/|$)/i

/** Basic auth by OpenFaaS' words (contract 1.1). Both parts are compared in constant time, whatever their length. */
export function login({ user, password }: Login): Middleware {
  const [wantedUser, wantedPassword] = [digest(user), digest(password)]
  return async function checkLogin(ctx, next) {
    const given = readBasic(ctx.get('authorization'))
    const isUser = timingSafeEqual(digest(given?.user ?? ''), wantedUser)
    const isPassword = timingSafeEqual(digest(given?.password ?? ''), wantedPassword)
    if ((given && isUser && isPassword) || !PROTECTED.test(ctx.path)) {
      await next()
      return
    }
    ctx.status = 401
    ctx.type = 'text/plain; charset=utf-8'
    ctx.set('WWW-Authenticate', 'Basic realm="Restricted"')
    ctx.body = 'invalid credentials'
  }
}

function readBasic(header: string): Login | undefined {
  const [, encoded] = /^basic +([A-Za-z0-9+/=_-]+) *$/i.exec(header) ?? []
  if (encoded === undefined) return undefined
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
