import Checkpoints

/// A reader of files that come from elsewhere.
enum Reader: String, CaseIterable {
  /// A checkpoint's manifest, as it is, and with its hash put in order.
  case manifest
  case signedManifest = "signed-manifest"
  /// A compressed slice of a checkpoint.
  case frame
  /// A checkpoint of one manifest and one shard, the hash of the manifest put in order.
  case checkpoint
  /// A packed model, the hash of its index put in order.
  case packed
  case safetensors
  /// An array, which is encoded, and an encoding, which is decoded.
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
  /// metrics.jsonl, samples.jsonl and alarms.jsonl of a run that is resumed and reported on.
  case metrics
  /// NAME.json of a golden case.
  case golden
  /// Results of benchmarks.
  case calibration

  /// What is read, or nil where the input is refused.
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
