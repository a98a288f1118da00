/** What a terminal of endless height shows after a text: carriage return, newline and "clear to the end of the line". */
export function screenOf(text: string): string[] {
  const lines: string[][] = [[]]
  let column = 0
  for (let at = 0; at < text.length; at++) {
    if (text.startsWith('\u001b[K', at)) {
      lines.at(-1)!.length = column
      at += 2
    } else if (text[at] === '\r') column = 0
    else if (text[at] === '\n') {
      lines.push([])
      column = 0
    } else lines.at(-1)![column++] = text[at]!
  }
  return lines.map((line) => line.join('').trimEnd())
}
