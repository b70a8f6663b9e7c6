import Parameters
import Tensors

/// A moving average of the parameters over updates, which is steadier than the parameters themselves:
///
///     a ← (1 − r) a + r w,  r = max(1 − decay, 1/(n + 1))
///
/// w are the masters after the n-th update since the average began, from n = 1. So the average is the plain mean of the
/// first parameters and all updates until the mean is longer than 1/(1 − decay), and exponential from then on.
///
/// Source: Polyak and Juditsky, "Acceleration of stochastic approximation by averaging" (1992).
public final class WeightAverage {
  public let decay: Double
  public let values: ParameterStore
  /// Number of updates since the average began.
  public var count = 0

  /// An average that begins with the current masters.
  ///
  /// - Parameter decay: at least 0 and below 1.
  public init(decay: Double, masters: ParameterStore) {
    precondition((0..<1).contains(decay), "the decay \(decay) of an average must be at least 0 and below 1")
    self.decay = decay
    values = ParameterStore(masters.table, parts: masters.parts)
    restart(from: masters)
  }

  /// Begins again with the current masters.
  public func restart(from masters: ParameterStore) {
    count = 0
    values.copy(from: masters)
  }

  /// Adds the masters after an update. The result of an element does not depend on the threads.
  public func add(_ masters: ParameterStore, pool: WorkerPool) {
    count += 1
    let rate = max(1 - decay, 1 / Double(count + 1))
    let (keep, add) = (Float(1 - rate), Float(rate))
    let (average, current) = (values.buffer.view, masters.buffer.view)
    let chunks = (average.count + Self.chunk - 1) / Self.chunk
    pool.split(chunks, cost: .moved(2 * Self.chunk)) { _, range in
      for index in range {
        let elements = index * Self.chunk..<min((index + 1) * Self.chunk, average.count)
        let part = average.part(elements)
        part.scale(by: keep)
        part.add(current.part(elements), times: add)
      }
    }
  }

  private static let chunk = 1 << 14

  /// Exchanges the average with the masters.
  public func exchange(with masters: ParameterStore) {
    let (average, current) = (values.buffer.pointer, masters.buffer.pointer)
    for index in 0..<values.buffer.count { swap(&average[index], &current[index]) }
  }
}
