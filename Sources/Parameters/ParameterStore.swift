import LowBit
import Tensors

/// One fp32 value per parameter element: masters, gradients or moments, contiguous in table order.
///
/// A store holds the tensors, or parts of tensors, that its rank owns. Ids and names are global, the same on every
/// rank.
public final class ParameterStore: @unchecked Sendable {
  public let table: ParameterTable
  public let buffer: AlignedBuffer<Float>
  /// The parts that are held, in table order.
  public let parts: [ParameterPart]
  /// The tensors that are held whole or in part, in table order.
  public let held: [ParameterID]
  private let places: [Place?]

  private struct Place {
    let offset: Int
    let elements: Range<Int>
    /// Elements of the whole tensor, and its last extent.
    let count: Int
    let lastExtent: Int
  }

  /// A store of all tensors of the table.
  public convenience init(_ table: ParameterTable) { self.init(table, holding: table.ids) }

  /// A store of the whole tensors `ids`, ascending.
  public convenience init(_ table: ParameterTable, holding ids: [ParameterID]) {
    self.init(table, parts: ids.map { ParameterPart($0, 0..<table[$0].count) })
  }

  /// A store of parts of tensors: ascending by tensor, at most one part per tensor.
  public init(_ table: ParameterTable, parts: [ParameterPart]) {
    var places = [Place?](repeating: nil, count: table.count)
    var next = 0
    var last = -1
    for part in parts {
      precondition(part.id.index > last, "parts of a store must ascend, each tensor once")
      precondition(
        part.elements.lowerBound >= 0 && part.elements.upperBound <= table[part.id].count,
        "elements \(part.elements) of \(table[part.id].name), which has \(table[part.id].count)")
      last = part.id.index
      places[last] = Place(
        offset: next, elements: part.elements, count: table[part.id].count, lastExtent: table[part.id].inputs)
      next += VectorLanes.padded(part.elements.count)
    }
    self.table = table
    self.parts = parts
    held = parts.map { $0.id }
    self.places = places
    buffer = AlignedBuffer(count: next)
  }

  /// Whether the whole tensor is held.
  public func holds(_ id: ParameterID) -> Bool { places[id.index]?.elements == 0..<table[id].count }

  /// The elements of a tensor that are held; empty if none are.
  public func elements(_ id: ParameterID) -> Range<Int> { places[id.index]?.elements ?? 0..<0 }

  /// Offset of the held elements of a tensor in `buffer`.
  public func offset(_ id: ParameterID) -> Int { place(id).offset }

  /// The first held element of a tensor, which must be held in part or whole.
  public func pointer(_ id: ParameterID) -> UnsafeMutablePointer<Float> { buffer.pointer + place(id).offset }

  /// The first element of `part`, which must be held whole.
  public func pointer(_ part: ParameterPart) -> UnsafeMutablePointer<Float> {
    let place = place(part.id)
    return buffer.pointer + place.offset + (part.elements.lowerBound - place.elements.lowerBound)
  }

  /// The elements of `part`, which must be held whole.
  public func vector(_ part: ParameterPart) -> Vector { Vector(pointer(part), count: part.elements.count) }

  /// A tensor, which must be held whole, as rows of the length of its last extent: one row for a norm or a bias, the rows
  /// of all matrices one after another for a stack.
  public func rows(_ id: ParameterID) -> Matrix {
    let place = place(id)
    precondition(place.elements.count == place.count, "rows of \(table[id].name), of which this rank holds a part")
    return Matrix(
      buffer.pointer + place.offset, rows: place.count / place.lastExtent, columns: place.lastExtent)
  }

  /// The held elements of a tensor.
  public func values(_ id: ParameterID) -> UnsafeMutableBufferPointer<Float> {
    let place = place(id)
    return UnsafeMutableBufferPointer(start: buffer.pointer + place.offset, count: place.elements.count)
  }

  private func place(_ id: ParameterID) -> Place {
    guard let place = places[id.index] else { preconditionFailure("\(table[id].name) is not held by this rank") }
    return place
  }

  /// The values of a tensor by name, if it is held; for tests and tools.
  public func array(_ name: String) -> [Float]? {
    table.id(name).flatMap { places[$0.index] == nil ? nil : Array(values($0)) }
  }

  public func clear() { buffer.clear() }

  /// Copies all elements of a store of the same parts.
  public func copy(from other: ParameterStore) {
    precondition(other.parts == parts, "a copy of other parts of the parameters")
    buffer.pointer.update(from: other.buffer.pointer, count: buffer.count)
  }

  /// Initial weights: element i of the tensor with sorted index s takes words 2i and 2i+1 of stream 0, sequence s,
  /// position 0, through Box–Muller in double. Tensors must be held whole.
  public func initialize(seed: UInt64, pool: WorkerPool) {
    let generator = Philox(seed: seed)
    for id in held {
      precondition(holds(id), "initial values of a part of \(table[id].name)")
      let values = self.values(id)
      switch table[id].initial {
      case .zeros: values.update(repeating: 0)
      case .ones: values.update(repeating: 1)
      case .normal(let deviation):
        pool.split(values.count, grain: 32, cost: .transcendental(1)) { _, range in
          generator.normals(
            range, stream: .initialWeights, sequence: UInt64(id.index), position: 0, deviation: deviation,
            into: pointer(id))
        }
      }
    }
  }
}
