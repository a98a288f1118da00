/** TensorBox's eight hypes files, byte for byte: their values are compared in test/config/hypes.test.ts. */

/** In what the files differ. */
interface Differences {
  /** Folder of the lists, and their names. */
  lists: readonly [train: string, test: string]
  logging: readonly [display: number, save: number]
  lstm: boolean
  rezoom: boolean
  top: string
  attention: string
  base: string
  frame: readonly [width: number, height: number]
  /** Before the names of layers. */
  indent: string
  /** Behind the name of the top layer. */
  space: string
  /** The one file that names use_lstm last but one. */
  lstmLast: boolean
  bytes: number
}

const brainwash = ['./data/brainwash/train_boxes.json', './data/brainwash/val_boxes.json'] as const
const voc = ['./data/VOC2005_1/train_boxes.json', './data/VOC2005_1/val_boxes.json'] as const
const lungs = ['./data/lung_data/lung_train.json', './data/lung_data/lung_val.json'] as const

const WIDE = {
  lists: brainwash,
  logging: [50, 10000],
  frame: [640, 480],
  indent: '    ',
  space: '',
  lstmLast: false,
} as const
const LUNG = { ...WIDE, lists: lungs, logging: [100, 200000], frame: [352, 256], indent: '\t' } as const
const INCEPTION = { base: 'InceptionV1', top: 'Mixed_5c', attention: 'Mixed_3b' } as const
const RESNET = {
  base: 'resnet_v1_101',
  top: 'resnet_v1_101/block4',
  attention: 'resnet_v1_101/block1',
} as const
const LSTM = { lstm: true, rezoom: true } as const
const OVERFEAT = { lstm: false, rezoom: true } as const

/** Sizes: of zhwhong/lidc_nodule_detection's files, and of Russell91/TensorBox's where that has none. */
const FILES: Readonly<Record<string, Differences>> = {
  lstm: { ...WIDE, ...INCEPTION, ...LSTM, rezoom: false, bytes: 1200 },
  lstm_rezoom: { ...WIDE, ...INCEPTION, ...LSTM, lists: voc, bytes: 1274 },
  lstm_rezoom_lung: { ...LUNG, ...INCEPTION, ...LSTM, bytes: 1261 },
  lstm_resnet_rezoom: { ...WIDE, ...RESNET, ...LSTM, lstmLast: true, bytes: 1301 },
  lstm_resnet_rezoom_lung: { ...LUNG, ...RESNET, ...LSTM, space: ' '.repeat(109), bytes: 1397 },
  overfeat: { ...WIDE, ...INCEPTION, ...OVERFEAT, top: 'Mixed_5b', rezoom: false, bytes: 1201 },
  overfeat_rezoom: { ...WIDE, ...INCEPTION, ...OVERFEAT, top: 'Mixed_5b', lists: voc, bytes: 1275 },
  overfeat_resnet_rezoom: { ...WIDE, ...RESNET, ...OVERFEAT, bytes: 1302 },
}

/** A file's text, the lists and the checkpoint that it names, and its size there. */
export interface TensorBoxFile {
  name: string
  text: string
  lists: readonly string[]
  checkpoint: string
  base: 'InceptionV1' | 'resnet_v1_101'
  bytes: number
}

export const TENSORBOX_FILES: readonly TensorBoxFile[] = Object.entries(FILES).map(([name, d]) => ({
  name,
  text: textOf(d),
  lists: d.lists,
  checkpoint: d.base === 'InceptionV1' ? 'inception_v1.ckpt' : 'resnet_v1_101.ckpt',
  base: d.base as TensorBoxFile['base'],
  bytes: d.bytes,
}))

function textOf(d: Differences): string {
  const [width, height] = d.frame
  const checkpoint = d.base === 'InceptionV1' ? 'inception_v1.ckpt' : 'resnet_v1_101.ckpt'
  const lstm = `    "use_lstm": ${d.lstm},\n`
  const samples = '    "rezoom_w_coords": [-0.25, 0.25],\n    "rezoom_h_coords": [-0.25, 0.25],\n'
  return `{
    "data": {
        "train_idl": "${d.lists[0]}",
        "test_idl": "${d.lists[1]}",
        "truncate_data": false
    },
    "logging": {
        "display_iter": ${d.logging[0]},
        "save_iter": ${d.logging[1]}
    },
    "solver": {
        "opt": "RMS",
        "use_jitter": false,
        "rnd_seed": 1,
        "epsilon": 0.00001,${' '}
        "learning_rate": 0.001,${' '}
        "learning_rate_step": 33000,${' '}
        "hungarian_iou": 0.25,
        "weights": "",
        "head_weights": [1.0, 0.1]
    },
${d.lstmLast ? '' : lstm}    "use_rezoom": ${d.rezoom},
    "biggest_box_px": 10000,
    "rezoom_change_loss": "center",
${d.rezoom ? samples : ''}    "reregress": ${d.rezoom},
    "focus_size": 1.8,
    "early_feat_channels": 256,
    "later_feat_channels": 832,
    "avg_pool_size": 5,
${d.indent}"slim_top_lname": "${d.top}",${d.space}
${d.indent}"slim_attention_lname": "${d.attention}",
${d.indent}"slim_basename": "${d.base}",
${d.indent}"slim_ckpt": "${checkpoint}",
    "num_lstm_layers": 2,
    "image_width": ${width},${' '}
    "image_height": ${height},
    "grid_height": ${height / 32},${' '}
    "grid_width": ${width / 32},
    "batch_size": 1,${' '}
    "region_size": 32,
    "clip_norm": 1.0,
    "lstm_size": 500,
    "deconv": false,
    "num_classes": 2,
${d.lstmLast ? lstm : ''}    "rnn_len": ${d.lstm ? 5 : 1}
}
`
}
