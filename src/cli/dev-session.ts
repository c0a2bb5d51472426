import { formatRef } from '../core/function.ts'
import type { FunctionRef, FunctionStatus } from '../core/function.ts'
import type { StampedEvent } from '../engine/events.ts'
import type { Context } from './command.ts'
import { curlLine } from './curl-line.ts'
import { functionUrl } from './deploy-functions.ts'
import {
  fileLines,
  lackLines,
  openLines,
  openPorts,
  PORT_HEADINGS,
  portRows,
  writeForEditors,
} from './debug/open-ports.ts'
import { DevView } from './dev-view.ts'
import type { DevLine } from './dev-view.ts'
import { LogFollower } from './follow-logs.ts'
import { GatewayClient } from './gateway-client.ts'
import { KEY_HELP, pickLine, pressKey } from './keys.ts'
import type { KeyAction, Picking } from './keys.ts'
import { LiveRegion } from './live.ts'
import type { LiveState } from './live.ts'
import { makeNameColors } from './name-colors.ts'
import { openBrowser } from './open-browser.ts'
import { OnceTold } from './once-told.ts'
import { wantsLive } from './progress.ts'
import type { HostedApp } from './rooms-contract.ts'
import { errorLines } from './show-error.ts'
import { readStackIfAny } from './stack-for.ts'
import { tableLines } from './table.ts'
import { terminalText } from './terminal-text.ts'

/** Words that make a log line pass `errors only`. */
const ERROR_WORDS = /\b(error|exception|traceback|panic|fatal|unhandled|failed)\b/i

/** A platform and the terminal that it is watched from. */
export class DevSession implements Disposable {
  readonly #context: Context
  readonly #app: HostedApp
  readonly #view: DevView
  readonly #region: LiveRegion
  readonly #client: GatewayClient
  readonly #logs: LogFollower
  readonly #nameColor: ReturnType<typeof makeNameColors>
  readonly #onceTold = new OnceTold()
  readonly #closers: Disposable[] = []
  #picking: Picking
  #filter: string | undefined
  #errorsOnly = false

  constructor(context: Context, app: HostedApp) {
    const { print, io, signal } = context
    this.#context = context
    this.#app = app
    this.#view = new DevView({ verbose: print.verbose })
    this.#nameColor = makeNameColors(print.colors)
    const live = wantsLive(io.env) && !print.json
    this.#region = new LiveRegion(print.chatter, print.colors, () => this.#liveState(), live)
    this.#client = new GatewayClient({ address: addressOf(app), signal })
    this.#logs = new LogFollower(this.#client, (ref, log) => {
      for (const text of this.#onceTold.take(ref, log)) this.#showLog(ref, text)
    })
    this.#closers.push(this.#region, this.#logs)
    // From the first event on: the platform may have begun before anybody could watch.
    this.#closers.push(app.events.watch((event) => this.#see(event), 0))
    if (this.#region.live && io.stdin.isTTY) this.#closers.push(this.#listenToKeys())
  }

  /** The table, the address and the line to paste: the end of the start. */
  showStart(seconds: number): void {
    const { print } = this.#context
    const functions = this.#app.functions.list()
    const curl = this.#curl(functions)
    if (print.json) {
      const rows = functions.map((fn) => ({
        ...fn.spec,
        url: functionUrl(this.#app.url, fn.spec),
        state: fn.state,
      }))
      print.record({ type: 'start.done', url: this.#app.url, seconds, functions: rows, curl })
      return
    }
    const { bold, dim, green, red } = print.colors
    const rows = functions.map((fn) => [
      fn.spec.name,
      functionUrl(this.#app.url, fn.spec),
      fn.state === 'failing' ? red(fn.state) : green(fn.state),
      fn.spec.image,
      dim(this.#view.builtOf(fn.spec)),
    ])
    // Nothing answers there yet, so there is no address to call.
    for (const { ref } of this.#app.functions.undeployed()) rows.push([ref.name, '', red('failing'), '', ''])
    rows.sort(([a = ''], [b = '']) => a.localeCompare(b))
    this.#region.print('', ...tableLines([...['FUNCTION', 'URL', 'STATE', 'IMAGE'].map(bold), ''], rows), '')
    this.#region.print(`API  ${this.#app.url}   ready in ${seconds.toFixed(1)} s`)
    if (curl) this.#region.print('', `Try  ${bold(curl)}`)
    this.#region.print('')
    this.#region.refresh()
  }

  [Symbol.dispose](): void {
    for (const closer of this.#closers.splice(0).reverse()) closer[Symbol.dispose]()
  }

  #see(event: StampedEvent): void {
    if (this.#context.print.json) {
      this.#context.print.record(event)
      return
    }
    for (const { ref, text } of this.#onceTold.see(event)) this.#showLog(ref, text)
    for (const line of this.#view.see(event)) this.#show(line)
    if (event.type === 'function.ready') {
      // What it said while it started belongs to its log too.
      const since = new Date(Date.parse(event.at) - event.seconds * 1000)
      this.#logs.follow(event.ref, since)
    }
    this.#region.refresh()
  }

  #show({ tone, text }: DevLine): void {
    const { print } = this.#context
    const { green, red, dim } = print.colors
    // On a terminal the region shows what is under way; elsewhere lines are all there is.
    if (tone === 'detail' && this.#region.live && !print.verbose) return
    if (this.#errorsOnly && tone === 'good') return
    const color = { good: green, bad: red, detail: dim, plain: (line: string) => line }[tone]
    this.#region.print(color(text))
  }

  #showLog(ref: FunctionRef, text: string): void {
    if (this.#filter !== undefined && this.#filter !== ref.name) return
    if (this.#errorsOnly && !ERROR_WORDS.test(text)) return
    const { colors } = this.#context.print
    const shown = this.#context.io.stdout.isTTY === true ? terminalText(text, colors.isColorSupported) : text
    this.#region.print(`${this.#nameColor(formatRef(ref))(ref.name)} ${colors.dim('│')} ${shown}`)
  }

  #liveState(): LiveState {
    return {
      rows: this.#view.rows(Date.now()),
      warnings: this.#view.warnings(),
      status: this.#statusLine(),
      ...(this.#picking && { question: pickLine(this.#picking, this.#names()) }),
    }
  }

  #statusLine(): string {
    const { dim, green, red } = this.#context.print.colors
    const functions = this.#app.functions.list()
    const failing =
      functions.filter(({ state }) => state === 'failing').length + this.#app.functions.undeployed().length
    const answering = functions.filter(({ state }) => state === 'ready' || state === 'idle').length
    return [
      green(`${answering} ready`),
      ...(failing > 0 ? [red(`${failing} failing`)] : []),
      this.#app.url,
      ...(this.#filter === undefined ? [] : [`logs of ${this.#filter}`]),
      ...(this.#errorsOnly ? ['errors only'] : []),
      dim('? help'),
    ].join(' · ')
  }

  #names(): string[] {
    return this.#app.functions.list().map(({ spec }) => spec.name)
  }

  #curl(functions: readonly FunctionStatus[]): string | undefined {
    const answering = functions.filter(
      ({ availableReplicas, state }) => availableReplicas > 0 || state === 'idle',
    )
    return curlLine(
      this.#app.url,
      answering.map(({ spec }) => spec),
    )
  }

  #listenToKeys(): Disposable {
    const { stdin } = this.#context.io
    const onData = (chunk: Buffer | string): void => {
      // Keys may come together; an arrow key is a sequence that means nothing here.
      const text = chunk.toString()
      for (const key of text.startsWith('\u001b') ? [text] : text) this.#press(key)
    }
    stdin.setRawMode?.(true)
    stdin.on('data', onData)
    stdin.resume()
    return {
      [Symbol.dispose]: () => {
        stdin.off('data', onData)
        stdin.setRawMode?.(false)
        stdin.pause()
      },
    }
  }

  #press(key: string): void {
    const { picking, action } = pressKey(key, this.#picking, this.#names())
    this.#picking = picking
    if (action) this.#act(action)
    this.#region.refresh()
  }

  #rebuild(name: string | undefined): void {
    const functions = this.#app.functions.list()
    const chosen = functions.find(({ spec }) => spec.name === name)
    for (const { spec } of chosen ? [chosen] : functions) this.#view.expect(spec)
    this.#region.print(this.#context.print.colors.dim(`rebuilding ${name ?? 'all functions'}`))
    // What becomes of it comes as events.
    this.#app.dev?.rebuild(chosen && formatRef(chosen.spec))
  }

  async #debug(): Promise<void> {
    const { print, io } = this.#context
    const [ports, stack] = await Promise.all([
      openPorts(this.#client),
      readStackIfAny(this.#context).catch(() => undefined),
    ])
    const table =
      ports.length === 0
        ? ['no function is Node or Python']
        : tableLines(PORT_HEADINGS.map(print.colors.bold), portRows(ports))
    this.#region.print('', ...table, ...lackLines(ports))
    const files = stack ? await writeForEditors(ports, stack, io.env) : []
    this.#region.print(...fileLines(files, io.cwd), ...openLines(files, io.cwd), '')
  }

  #act(action: KeyAction): void {
    switch (action.type) {
      case 'help':
        this.#region.print('', ...KEY_HELP.map(([key, meaning]) => `  ${key}  ${meaning}`), '')
        return
      case 'open':
        openBrowser(this.#app.url).then(
          (opened) => {
            if (!opened) this.#region.print(`no browser here; the address is ${this.#app.url}`)
          },
          () => undefined,
        )
        return
      case 'rebuild':
        this.#rebuild(action.name)
        return
      case 'filter':
        this.#filter = action.name
        return
      case 'debug':
        this.#debug().catch((error: unknown) =>
          this.#region.print(...errorLines(error, this.#context.print.colors)),
        )
        return
      case 'errors':
        this.#errorsOnly = !this.#errorsOnly
        return
      case 'clear':
        this.#region.clear()
        return
      case 'quit':
        this.#context.interrupt()
        return
    }
  }
}

/** The platform's own address, with the login that it asks for. */
function addressOf({ url, login }: HostedApp): string {
  const address = new URL(url)
  address.username = encodeURIComponent(login?.user ?? '')
  address.password = encodeURIComponent(login?.password ?? '')
  return address.href
}
