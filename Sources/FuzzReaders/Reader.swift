import Checkpoints

/// A reader of untrusted files.
enum Reader: String, CaseIterable {
  /// A checkpoint's manifest, unchanged, and with a valid hash.
  case manifest
  case signedManifest = "signed-manifest"
  /// A compressed slice of a checkpoint.
  case frame
  /// A checkpoint of one manifest with a valid hash, and one shard.
  case checkpoint
  /// A packed model whose index has a valid hash.
  case packed
  case safetensors
  /// An array to encode, and an encoding to decode.
  case npy
  case bits
  /// Prompts in JSON Lines.
  case prompts
  case trajectories
  case text
  /// A tokenizer.json.
  case tokenizer
  /// A configuration.
  case yaml
  /// metrics.jsonl, samples.jsonl and alarms.jsonl of a run that is resumed and reported.
  case metrics
  /// NAME.json of a golden case.
  case golden
  /// Results of benchmarks.
  case calibration

  /// The contents read, or nil if the input is rejected.
  func read(_ input: [UInt8]) -> Any? {
    switch self {
    case .manifest: try? Manifest(text: input, path: "m")
    case .signedManifest: try? Manifest(text: Manifest.signed(input), path: "m")
    case .frame: input.withUnsafeBytes(FrameProbe.decode)
    case .checkpoint: input.withUnsafeBytes(CheckpointProbe.read)
    case .packed: input.withUnsafeBytes(PackedProbe.read)
    case .safetensors: FileProbes.safetensors(input)
    case .npy: FileProbes.array(input)
    case .bits: FileProbes.bits(input)
    case .prompts: FileProbes.prompts(input)
    case .trajectories: FileProbes.trajectories(input)
    case .text: FileProbes.text(input)
    case .tokenizer: FileProbes.tokenizer(input)
    case .yaml: FileProbes.configuration(input)
    case .metrics: FileProbes.records(input)
    case .golden: FileProbes.golden(input)
    case .calibration: FileProbes.calibration(input)
    }
  }
}
