import LowBit
import Tensors

/// One fp32 value per parameter element: masters, gradients or moments, contiguous in the order of the table.
public final class ParameterStore: @unchecked Sendable {
  public let table: ParameterTable
  public let buffer: AlignedBuffer<Float>

  public init(_ table: ParameterTable) {
    self.table = table
    buffer = AlignedBuffer(count: table.storeCount)
  }

  public func pointer(_ id: ParameterID) -> UnsafeMutablePointer<Float> { buffer.pointer + table.offsets[id.index] }

  public func values(_ id: ParameterID) -> UnsafeMutableBufferPointer<Float> {
    UnsafeMutableBufferPointer(start: pointer(id), count: table[id].count)
  }

  /// The numbers of a named tensor; for tests and tools.
  public func array(_ name: String) -> [Float]? { table.id(name).map { Array(values($0)) } }

  public func clear() { buffer.clear() }

  /// Initial weights: element i of the tensor with sorted index s takes words 2i and 2i+1 of stream 0, sequence s,
  /// position 0, through Box–Muller in double.
  public func initialize(seed: UInt64, pool: WorkerPool) {
    let generator = Philox(seed: seed)
    for id in table.ids {
      let values = self.values(id)
      switch table[id].initial {
      case .zeros: values.update(repeating: 0)
      case .ones: values.update(repeating: 1)
      case .normal(let deviation):
        pool.split(values.count, grain: 2, least: 16384) { _, range in
          for first in stride(from: range.lowerBound, to: range.upperBound, by: 2) {
            let words = generator.block(
              stream: .initialWeights, sequence: UInt64(id.index), position: 0,
              block: UInt32(first / 2))
            values[first] = Float(Philox.normal(words[0], words[1]) * deviation)
            if first + 1 < range.upperBound { values[first + 1] = Float(Philox.normal(words[2], words[3]) * deviation) }
          }
        }
      }
    }
  }
}
