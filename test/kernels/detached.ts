/** A view whose buffer has been transferred away. */
export function detached<T extends Int16Array | Float32Array | Int32Array | Float64Array>(array: T): T {
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] })
  return array
}
