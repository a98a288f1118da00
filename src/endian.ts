/** Whether this machine stores the low byte of a number first. */
export const LITTLE_ENDIAN_MACHINE = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1
