/** The little of dcmjs that the writer uses; the package has no types of its own. */
declare module 'dcmjs' {
  type Elements = Record<string, { vr: string; Value: unknown[] }>

  class DicomDict {
    constructor(meta: Elements)
    dict: Elements
    write(): ArrayBuffer
  }

  const dcmjs: { data: { DicomDict: typeof DicomDict } }
  export default dcmjs
}
