/**
 * Runs benchmark subjects, each in a fresh process, and prints one table.
 *
 *   run [NAME...] [--case TEXT...] [--peer TEXT...] [--beside N] [--limit N] [--seconds N]
 *       [--json FILE] [--print-json] [--markdown FILE]
 *
 * With --print-json the rows go to stdout as JSON, the tables to stderr.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { invalidParameter } from '../src/check.js'
import { NoduleError } from '../src/errors.js'
import { writeFileAtomic } from '../src/files.js'
import { guardOutput, printLine, printResult, setOutputStyle } from '../src/terminal/output.js'
import { describeMachine, machineLine } from './machine.js'
import { subjects } from './subjects.js'
import { formatTable } from './table.js'
import type { Row, SubjectOptions } from './types.js'

/** The child's answer is the line that starts so; whatever else it prints goes to stderr. */
const ANSWER = 'nodule-benchmark-rows '

async function runHere(name: string, options: SubjectOptions): Promise<void> {
  const { subject } = (await subjects[name]?.()) ?? {}
  if (subject === undefined) throw invalidParameter('subject', Object.keys(subjects).join(', '), name)
  const answer = (rows: readonly Row[]): void => {
    process.stdout.write(`${ANSWER}${JSON.stringify(rows)}\n`)
  }
  const made = subject.run(options)
  if (made instanceof Promise) answer(await made)
  else for await (const rows of made) answer(rows)
}

/**
 * Runs a subject and hands over its rows as they come.
 * @param limit seconds after which it is ended
 * @returns whether it came to its end
 */
async function runInFreshProcess(
  flags: readonly string[],
  limit: number,
  onRows: (rows: Row[]) => void,
): Promise<boolean> {
  const child = spawn(process.execPath, [...process.execArgv, fileURLToPath(import.meta.url), ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const closed = once(child, 'close')
  let late = false
  const end = (): void => {
    late = true
    child.kill()
  }
  const timer = limit === Infinity ? undefined : setTimeout(end, Math.max(0, limit) * 1000)
  let answered = false
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith(ANSWER)) {
      answered = true
      onRows(JSON.parse(line.slice(ANSWER.length)) as Row[])
    } else if (line !== '') process.stderr.write(`${line}\n`)
  }
  const [code] = (await closed) as [number | null]
  clearTimeout(timer)
  if (late) return false
  if (code !== 0) throw new NoduleError('UNAVAILABLE', `the benchmark failed with exit status ${code}`)
  if (!answered)
    throw new NoduleError('UNAVAILABLE', 'there is nothing of these names', { actual: flags.join(' ') })
  return true
}

/** Starts programs that do nothing but keep a core busy; returns what ends them. */
function startBusy(count: number): () => void {
  const busy = Array.from({ length: count }, () => spawn(process.execPath, ['-e', 'for (;;);']))
  return () => busy.forEach((child) => child.kill('SIGKILL'))
}

/** Lines and an empty one behind them. */
function printLines(text: string): void {
  for (const line of `${text}\n`.split('\n')) printLine(line)
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'string' },
      'print-json': { type: 'boolean', default: false },
      markdown: { type: 'string' },
      seconds: { type: 'string', default: '2' },
      case: { type: 'string', multiple: true, default: [] },
      peer: { type: 'string', multiple: true, default: [] },
      beside: { type: 'string', default: '0' },
      limit: { type: 'string' },
      inside: { type: 'string' },
    },
  })
  const seconds = Number(values.seconds)
  if (!(seconds > 0)) throw invalidParameter('seconds', 'positive number', values.seconds)
  const { case: cases, peer: peers } = values
  if (values.inside !== undefined) return runHere(values.inside, { seconds, cases, peers })
  const limit = Number(values.limit ?? Infinity)
  if (!(limit > 0)) throw invalidParameter('limit', 'positive number of seconds', values.limit)
  const beside = Number(values.beside)
  if (!Number.isInteger(beside) || beside < 0 || beside > 64)
    throw invalidParameter('beside', 'number of busy processes, 0 to 64', values.beside)

  setOutputStyle({ json: values['print-json'], quiet: false })
  const names = positionals.length > 0 ? positionals : Object.keys(subjects)
  for (const name of names)
    if (!Object.hasOwn(subjects, name))
      throw invalidParameter('subject', Object.keys(subjects).join(', '), name)
  const machine = describeMachine()
  printLines(machineLine(machine))
  const choice = [...cases.flatMap((text) => ['--case', text]), ...peers.flatMap((text) => ['--peer', text])]
  const rows: Row[] = []
  const started = performance.now()
  const stopBusy = startBusy(beside)
  try {
    for (const name of names) {
      const left = limit - (performance.now() - started) / 1000
      const whole = await runInFreshProcess(
        ['--inside', name, '--seconds', values.seconds, ...choice],
        left,
        (made) => {
          rows.push(...made)
          printLines(formatTable(made))
        },
      )
      if (whole) continue
      printLines(`stopped after ${limit} s in ${name}: what it had not ended is missing`)
      break
    }
  } finally {
    stopBusy()
  }
  const quoted = choice.map((text) => (text.includes(' ') ? `'${text}'` : text))
  const busy = beside > 0 ? ['--beside', beside] : []
  const command = ['npm run bench --', ...names, ...quoted, ...busy].join(' ')
  const result = { machine, command, rows }
  printResult(result, '')
  if (values.json !== undefined) await writeFileAtomic(values.json, `${JSON.stringify(result, null, 2)}\n`)
  if (values.markdown !== undefined)
    await writeFileAtomic(
      values.markdown,
      `${machineLine(machine)}; \`${command}\`\n\n${formatTable(rows)}\n`,
    )
}

guardOutput()
try {
  await main()
} catch (error) {
  if (!(error instanceof NoduleError) && !(error instanceof TypeError)) throw error
  console.error(`bench: ${error.message}`)
  process.exitCode = error instanceof TypeError ? 2 : 1
}
