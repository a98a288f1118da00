// What the output of a failed build tells.

/** The lines of errors with what follows them: CMake explains in the lines below. */
function errors(output) {
  const lines = output.split('\n')
  return lines.flatMap((line, at) => {
    if (line.startsWith('CMake Error')) return [lines.slice(at, at + 8).join(' ')]
    return /(^|\s)(fatal )?error:/i.test(line) || /\bError \d+$/.test(line) ? [line] : []
  })
}

/** The first error that CMake or a compiler printed, in one line. */
export function firstError(output) {
  const [first] = errors(output)
  if (first === undefined) return 'no error was printed'
  const text = first.replace(/\s+/g, ' ').trim()
  // "CMake Error at FILE:LINE (message): what it is about. Call Stack ..."
  return /^CMake Error.*?\(message\): ?(.*?)( Call Stack.*)?$/.exec(text)?.[1] ?? text
}

/**
 * What to build without after a failure, of what AUTO chose: what the errors name, else the first.
 * @param chosen {onednn: boolean, cuda: boolean}: what may be left out
 * @returns 'onednn', 'cuda', or undefined where nothing is left to leave out
 */
export function suspectOf(output, chosen) {
  const named = { onednn: /dnnl|opencl|native\/tensor/i, cuda: /nvcc|cuda|\.cu\b/i }
  const suspects = Object.keys(named).filter((name) => chosen[name])
  const text = errors(output).join('\n')
  return suspects.find((name) => named[name].test(text)) ?? suspects[0]
}
