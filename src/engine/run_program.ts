import { spawn } from 'node:child_process'
import { NoduleError, describeError } from '../errors.js'

/** Runs a program; its output goes to `onLine`. Throws NoduleError (UNAVAILABLE) with its last lines where it fails. */
export async function runProgram(
  program: string,
  flags: readonly string[],
  advice: string,
  onLine: ((line: string) => void) | undefined,
): Promise<void> {
  onLine?.(`${program} ${flags.join(' ')}`)
  const last: string[] = []
  const child = spawn(program, flags, { stdio: ['ignore', 'pipe', 'pipe'] })
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      for (const line of text.split(/[\r\n]+/)) {
        if (line.trim() === '') continue
        last.push(line)
        if (last.length > 5) last.shift()
        onLine?.(line)
      }
    })
  const problem = await new Promise<string | undefined>((resolve) => {
    child.on('error', (error) => resolve(describeError(error)))
    child.on('close', (code) => resolve(code === 0 ? undefined : `exit status ${code}: ${last.join(' / ')}`))
  })
  if (problem !== undefined)
    throw new NoduleError('UNAVAILABLE', `${program} failed`, { expected: advice, actual: problem })
}
