import Checkpoints
import Exports
import Learning
import LowBit
import Optimizers
import Parameters
import Tensors

extension ParameterStore {
  /// The held elements as pieces of a checkpoint.
  ///
  /// - Parameter part: the only rank that holds them; nil if several ranks do.
  func pieces(_ kind: TensorKind, part: Int? = nil) -> [TensorPiece] {
    parts.map {
      TensorPiece(
        TensorKey(table[$0.id].name, kind), .float32, table[$0.id].shape, range: $0.elements, part: part,
        memory: pointer($0.id), owner: self)
    }
  }
}

extension MomentStore {
  /// The held elements as pieces of a checkpoint: fp32 values, or codes and their block scales.
  ///
  /// - Parameter part: the only rank that holds them; nil if several ranks do.
  func pieces(_ kind: TensorKind, scales: TensorKind, part: Int?) -> [TensorPiece] {
    if let values { return values.pieces(kind, part: part) }
    return parts.flatMap { held in
      let (id, name, shape) = (held.id, table[held.id].name, table[held.id].shape)
      return [
        TensorPiece(
          TensorKey(name, kind), .uint8, shape, range: held.elements, part: part, memory: codes(id), owner: self),
        TensorPiece(
          TensorKey(name, scales), .float32, [Self.blocks(0..<table[id].count).count],
          range: Self.blocks(held.elements), part: part, memory: self.scales(id), owner: self),
      ]
    }
  }
}

extension Learner {
  /// This rank's masters, balance biases and moments.
  var pieces: [TensorPiece] {
    let part = isSharded ? communicator.rank : nil
    return masters.pieces(.master)
      + firstMoments.pieces(.firstMoment, scales: .firstMomentScales, part: part)
      + secondMoments.pieces(.secondMoment, scales: .secondMomentScales, part: part)
  }

  /// The moving average of the masters that this rank holds; empty without an average.
  var averagePieces: [TensorPiece] { average?.values.pieces(.average) ?? [] }

  /// Loads masters and moments from a checkpoint of any layout, and packs the masters. Local.
  ///
  /// - Throws: `CheckpointError`; the learner's state is then undefined.
  func resume(from reader: CheckpointReader, threads: Int) throws {
    try reader.read(pieces, threads: threads)
    if let average {
      average.restart(from: masters)
      // Absent if the checkpoint's run had no average.
      if let count = reader.manifest.counters["averaged_updates"] {
        try reader.read(averagePieces, threads: threads)
        average.count = count
      }
    }
    resume(updates: try reader.counter("updates"))
  }
}

extension CheckpointReader {
  /// A counter of the run.
  ///
  /// - Throws: `CheckpointError` if the checkpoint has no counter `name`.
  func counter(_ name: String) throws(CheckpointError) -> Int {
    guard let value = manifest.counters[name] else {
      throw CheckpointError(
        .mismatch, path: path, problem: "counter '\(name)' is missing",
        remedy: "use a checkpoint that a run wrote, or start a new run from its weights with --weights")
    }
    return value
  }

  /// A real number that is stored as two counters.
  ///
  /// - Throws: `CheckpointError` if a counter is missing or the number is not in `range`.
  func real(_ name: String, in range: ClosedRange<Double>) throws(CheckpointError) -> Double {
    let (high, low) = (try counter("\(name).high"), try counter("\(name).low"))
    let value = Double(bitPattern: UInt64(truncatingIfNeeded: high) << 32 | UInt64(low & 0xFFFF_FFFF))
    guard range.contains(value) else { throw fault("\(name).high and .low encode \(value), which is not valid") }
    return value
  }

  /// The step, which the manifest states twice.
  ///
  /// - Throws: `CheckpointError` if the two values differ.
  func stepCounter() throws(CheckpointError) -> Int {
    let step = try counter("step")
    guard step == manifest.step else {
      throw fault("counter 'step' is \(step), but the manifest's step is \(manifest.step)")
    }
    return step
  }

  /// An inconsistency that prevents resuming.
  func fault(_ problem: String) -> CheckpointError {
    CheckpointError(.inconsistentLayout, path: path, problem: problem, remedy: "use an earlier checkpoint")
  }
}

/// A packed model as pieces of a checkpoint, each tensor complete: rows and scales in file order
/// (`PackedWeights+Portable`) for linear weights, fp32 values otherwise.
struct PackedPieces {
  let pieces: [TensorPiece]
  private let model: PackedModel
  private let rows: [(weights: PackedWeights, bytes: AlignedBuffer<UInt8>, scales: AlignedBuffer<Float>)]

  /// Allocates buffers for the rows of `model`; fp32 pieces refer to the model's memory.
  init(_ model: PackedModel, _ kind: TensorKind, scales scalesKind: TensorKind) {
    var pieces: [TensorPiece] = []
    var rows: [(weights: PackedWeights, bytes: AlignedBuffer<UInt8>, scales: AlignedBuffer<Float>)] = []
    for id in model.held {
      let specification = model.table[id]
      let key = TensorKey(specification.name, kind)
      guard case .linear = specification.role else {
        pieces.append(
          TensorPiece(key, .float32, specification.shape, memory: model.values(id), owner: model))
        continue
      }
      let weights = model.weights(id)
      let bytes = AlignedBuffer<UInt8>(count: weights.portableByteCount)
      let scales = AlignedBuffer<Float>(count: weights.portableScaleCount)
      rows.append((weights, bytes, scales))
      pieces.append(TensorPiece(key, .uint8, [bytes.count], memory: bytes.pointer, owner: bytes))
      if scales.count > 0 {
        let key = TensorKey(specification.name, scalesKind)
        pieces.append(TensorPiece(key, .float32, [scales.count], memory: scales.pointer, owner: scales))
      }
    }
    if model.derived.count > 0 {
      let key = TensorKey("derived", kind)
      pieces.append(
        TensorPiece(key, .float32, [model.derived.count], memory: model.derived.pointer, owner: model))
    }
    self.pieces = pieces
    self.model = model
    self.rows = rows
  }

  /// Pieces with the model's current rows.
  static func of(_ model: PackedModel, _ kind: TensorKind, scales: TensorKind, _ context: Context) -> [TensorPiece] {
    let result = PackedPieces(model, kind, scales: scales)
    for row in result.rows {
      row.weights.exportRows(bytes: row.bytes.pointer, scales: row.scales.pointer, pool: context.pool)
    }
    return result.pieces
  }

  /// Fills `model` from a checkpoint.
  ///
  /// - Throws: `CheckpointError`; the model is then undefined.
  static func read(
    _ model: PackedModel, _ kind: TensorKind, scales: TensorKind, from reader: CheckpointReader, _ context: Context
  ) throws {
    let result = PackedPieces(model, kind, scales: scales)
    try reader.read(result.pieces, threads: context.pool.threads)
    for row in result.rows {
      let bad = row.weights.importRows(bytes: row.bytes.pointer, scales: row.scales.pointer, pool: context.pool)
      if let bad {
        throw CheckpointError(
          .inconsistentLayout, path: reader.path, problem: "row \(bad) of a packed weight holds invalid codes",
          remedy: "use another checkpoint")
      }
    }
  }
}
