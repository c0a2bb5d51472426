import type { RouterContext } from '@koa/router'
import type Router from '@koa/router'
import { PAGE_CSS, PAGE_JS, PAGE_POLICY, pageHtml } from '../ui/page.ts'

/** OpenFaaS' own, a bare host included (contract 1.11). */
const CORS = {
  'Access-Control-Allow-Headers': 'Content-Type',
  'Access-Control-Allow-Methods': 'GET',
  'Access-Control-Allow-Origin': 'raw.githubusercontent.com',
}

/** `/` leads to `/ui/`, which is one page. */
export function uiRoutes(router: Router, release: string): void {
  const files = new Map([
    ['', { type: 'text/html; charset=utf-8', text: pageHtml(release) }],
    ['page.css', { type: 'text/css; charset=utf-8', text: PAGE_CSS }],
    ['page.js', { type: 'text/javascript; charset=utf-8', text: PAGE_JS }],
  ])

  router.get('/', (ctx) => moved(ctx, 307))
  router.get('/ui', (ctx) => moved(ctx, 301))
  router.get('/ui/{*file}', (ctx) => {
    ctx.set(CORS)
    const file = files.get(ctx.params['file'] ?? '')
    if (!file) return
    ctx.set('Content-Security-Policy', PAGE_POLICY)
    ctx.set('Referrer-Policy', 'no-referrer')
    ctx.set('Cache-Control', 'no-cache')
    ctx.type = file.type
    ctx.body = file.text
  })
}

function moved(ctx: RouterContext, status: number): void {
  ctx.status = status
  ctx.set('Location', '/ui/')
  ctx.body = ''
}
