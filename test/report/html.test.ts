import { expect, it } from 'vitest'
import { embedJson, escapeHtml } from '../../src/report/html.js'

it('texts of files end no element and turn nothing around', () => {
  expect(escapeHtml('<b a="1">&\u0000\u202egnp\n')).toBe('&lt;b a=&quot;1&quot;&gt;&amp;\\u0000\\u202egnp\n')
  const text = embedJson({ a: '</script>\u2028\u202e' })
  expect(text).not.toMatch(/[<\u2028\u202e]/)
  expect(JSON.parse(text)).toEqual({ a: '</script>\\u2028\\u202e' })
})
