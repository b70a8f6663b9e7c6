import Checkpoints
import LowBit
import Optimizers
import Parameters
import Tensors

extension ParameterStore {
  /// What is held, as pieces of a checkpoint.
  ///
  /// - Parameter part: the rank that alone holds it; nil where several ranks do.
  func pieces(_ kind: TensorKind, part: Int? = nil) -> [TensorPiece] {
    parts.map {
      TensorPiece(
        TensorKey(table[$0.id].name, kind), .float32, table[$0.id].shape, range: $0.elements, part: part,
        memory: pointer($0.id), owner: self)
    }
  }
}

extension MomentStore {
  /// What is held, as pieces of a checkpoint: fp32 values, or codes and the scales of their blocks.
  ///
  /// - Parameter part: the rank that alone holds it; nil where several ranks do.
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
  /// Masters, balance biases and moments that this rank holds.
  var pieces: [TensorPiece] {
    let part = isSharded ? communicator.rank : nil
    return masters.pieces(.master)
      + firstMoments.pieces(.firstMoment, scales: .firstMomentScales, part: part)
      + secondMoments.pieces(.secondMoment, scales: .secondMomentScales, part: part)
  }

  /// Takes masters and moments from a checkpoint, whatever ranks wrote it, and packs them. Local.
  ///
  /// - Throws: `CheckpointError`; what the learner holds is then undefined.
  func resume(from reader: CheckpointReader, threads: Int) throws {
    try reader.read(pieces, threads: threads)
    resume(updates: try reader.counter("updates"))
  }
}

extension CheckpointReader {
  /// A whole number of the run.
  ///
  /// - Throws: `CheckpointError` where the checkpoint has none of that name.
  func counter(_ name: String) throws(CheckpointError) -> Int {
    guard let value = manifest.counters[name] else {
      throw CheckpointError(
        .mismatch, path: path, problem: "has no counter '\(name)'",
        remedy: "use a checkpoint that a run has written, or start from its weights with --weights")
    }
    return value
  }

  /// The step, which the manifest says twice.
  ///
  /// - Throws: `CheckpointError` where the two differ.
  func stepCounter() throws(CheckpointError) -> Int {
    let step = try counter("step")
    guard step == manifest.step else { throw fault("counter step is \(step), the manifest's step \(manifest.step)") }
    return step
  }

  /// What a run cannot go on with.
  func fault(_ problem: String) -> CheckpointError {
    CheckpointError(.inconsistentLayout, path: path, problem: problem, remedy: "use an earlier checkpoint")
  }
}

/// A packed model as pieces of a checkpoint: rows and scales as files hold them (`PackedWeights+Portable`), fp32 values
/// elsewhere, each tensor whole.
struct PackedPieces {
  let pieces: [TensorPiece]
  private let model: PackedModel
  private let rows: [(weights: PackedWeights, bytes: AlignedBuffer<UInt8>, scales: AlignedBuffer<Float>)]

  /// Room for the rows of `model`; the fp32 values are those of the model itself.
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

  /// Pieces with the model's rows of now.
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
          .inconsistentLayout, path: reader.path, problem: "row \(bad) of a packed weight holds codes that none has",
          remedy: "use another checkpoint")
      }
    }
  }
}
