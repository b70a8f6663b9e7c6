internal import CMPI

/// The overhead of the wrapper: its in-place all-reduce of `Float` sums compared with the same call from C.
public enum AllReduceBenchmark {
  /// The result for one message size.
  public struct Row: Sendable {
    public let bytes: Int
    /// Median time of one call through the wrapper.
    public let wrapperSeconds: Double
    /// Median time of one call from C.
    public let cSeconds: Double
    /// Time through the wrapper divided by time from C: the median over pairs of neighbouring samples, which see the
    /// same load of the machine.
    public let ratio: Double
    /// 10⁹ bytes of the buffer per second, through the wrapper.
    public var gigabytesPerSecond: Double { Double(bytes) / wrapperSeconds / 1e9 }
  }

  /// 1 KiB to 64 MiB, each four times the previous one.
  public static let defaultSizes = (0...8).map { 1024 << (2 * $0) }

  /// Measures pairs of samples, wrapper and C in alternating order, by rank 0's clock. Collective; all ranks return the
  /// same rows.
  ///
  /// - Parameters:
  ///   - sizes: sizes of the buffers in bytes, multiples of 4.
  ///   - seconds: approximate duration of the measurement of each size.
  public static func measure(
    _ communicator: Communicator, sizes: [Int] = defaultSizes, seconds: Double = 1
  ) throws(MPIError) -> [Row] {
    var rows: [Row] = []
    for bytes in sizes {
      rows.append(try measure(communicator, bytes: bytes, seconds: seconds))
    }
    return rows
  }

  private static func measure(
    _ communicator: Communicator, bytes: Int, seconds: Double
  ) throws(MPIError) -> Row {
    precondition(bytes.isMultiple(of: 4), "\(bytes) bytes is not a multiple of the 4-byte element size")
    // Zeros stay zeros, however often they are added.
    var buffer = TransferBuffer<Float>(count: bytes / 4)
    return try buffer.withUnsafeMutableElements { (values) throws(MPIError) in
      try measure(communicator, values, seconds: seconds)
    }
  }

  private static func measure(
    _ communicator: Communicator, _ values: UnsafeMutableBufferPointer<Float>, seconds: Double
  ) throws(MPIError) -> Row {
    // A sample lasts 1 ms or one call. All ranks use rank 0's numbers, so that they make the same calls.
    let call = try time(communicator, values, repetitions: 3, throughWrapper: false) / 3
    let plan = try communicator.broadcast(
      [max(1, Int(1e-3 / call)), max(15, Int(seconds / 2 / max(1e-3, call)))], from: 0)
    let (repetitions, pairs) = (plan[0], plan[1])
    var wrapper: [Double] = []
    var plain: [Double] = []
    for pair in 0..<pairs {
      for throughWrapper in [pair.isMultiple(of: 2), !pair.isMultiple(of: 2)] {
        let sample = try time(communicator, values, repetitions: repetitions, throughWrapper: throughWrapper)
        if throughWrapper { wrapper.append(sample) } else { plain.append(sample) }
      }
    }
    let medians = try communicator.broadcast(
      [median(wrapper), median(plain), median(zip(wrapper, plain).map { $0 / $1 })], from: 0)
    let calls = Double(repetitions)
    return Row(
      bytes: values.count * 4, wrapperSeconds: medians[0] / calls, cSeconds: medians[1] / calls, ratio: medians[2])
  }

  /// Seconds that `repetitions` calls take.
  private static func time(
    _ communicator: Communicator, _ values: UnsafeMutableBufferPointer<Float>, repetitions: Int, throughWrapper: Bool
  ) throws(MPIError) -> Double {
    try communicator.barrier()
    let start = MPI_Wtime()
    if throughWrapper {
      for _ in 0..<repetitions { try communicator.allReduce(values, .sum) }
    } else {
      let code = cmpi_repeat_all_reduce(
        values.baseAddress, Int32(values.count), communicator.handle, Int32(repetitions))
      try check(code, "MPI_Allreduce")
    }
    return MPI_Wtime() - start
  }

  private static func median(_ samples: [Double]) -> Double {
    let sorted = samples.sorted()
    return (sorted[sorted.count / 2] + sorted[(sorted.count - 1) / 2]) / 2
  }
}
