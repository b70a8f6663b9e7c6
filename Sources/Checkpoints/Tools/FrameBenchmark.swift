import CZstd
import Formats
import Foundation

/// The ratio and speed of checkpoint frames, compared with zstd on the same bytes.
public enum FrameBenchmark {
  /// The result of one method on one kind of data.
  public struct Row: Sendable {
    public let data: String
    public let method: String
    /// Bytes divided by stored bytes.
    public let ratio: Double
    /// Bytes of elements per second, of all threads together.
    public let compression: Double
    public let decompression: Double
  }

  /// - Parameters:
  ///   - bytes: the number of bytes of each kind of data.
  ///   - reader: a checkpoint whose masters and second moments are used; nil: normal deviates.
  /// - Throws: `CheckpointError`.
  public static func measure(bytes: Int, threads: Int, from reader: CheckpointReader? = nil) throws -> [Row] {
    let masters = try reader.map { try floats(.master, $0, count: bytes / 4) } ?? normals(bytes / 4)
    let moments = try reader.map { try floats(.secondMoment, $0, count: bytes / 4) } ?? masters.map { $0 * $0 }
    let halves = masters.map { UInt16(truncatingIfNeeded: $0.bitPattern >> 16) }
    var rows: [Row] = []
    for (name, type, data) in [
      ("fp32 masters", SafetensorsDataType.float32, Part(masters)), ("bf16", .bfloat16, Part(halves)),
      ("second moments", .float32, Part(moments)),
    ] where data.bytes.count > 0 {
      let parts = data.split(threads, width: type.byteCount)
      for method in [Method.frames(type), .zstd(1), .zstd(3)] { rows.append(measure(name, parts, method)) }
    }
    return rows
  }

  private enum Method {
    case frames(SafetensorsDataType)
    case zstd(Int32)

    var name: String {
      switch self {
      case .frames: "quillan"
      case .zstd(let level): "zstd -\(level)"
      }
    }
  }

  /// The bytes of one thread, and their owner.
  private struct Part: @unchecked Sendable {
    let bytes: UnsafeRawBufferPointer
    private let block: MemoryBlock

    init<Element: BitwiseCopyable>(_ elements: [Element]) {
      let block = MemoryBlock(byteCount: elements.count * MemoryLayout<Element>.stride)
      elements.withUnsafeBytes {
        if let start = $0.baseAddress { block.pointer.copyMemory(from: start, byteCount: $0.count) }
      }
      self.init(block, UnsafeRawBufferPointer(start: block.pointer, count: block.byteCount))
    }

    private init(_ block: MemoryBlock, _ bytes: UnsafeRawBufferPointer) {
      self.block = block
      self.bytes = bytes
    }

    func split(_ count: Int, width: Int) -> [Part] {
      let elements = bytes.count / width
      return (0..<count).map {
        let range = elements * $0 / count * width..<elements * ($0 + 1) / count * width
        return Part(block, UnsafeRawBufferPointer(rebasing: bytes[range]))
      }
    }
  }

  private final class Stored: @unchecked Sendable {
    private let lock = NSLock()
    private var parts: [Int: [UInt8]] = [:]
    func set(_ number: Int, _ bytes: [UInt8]) { lock.withLock { parts[number] = bytes } }
    func get(_ number: Int) -> [UInt8] { lock.withLock { parts[number] ?? [] } }
    var count: Int { lock.withLock { parts.values.reduce(0) { $0 + $1.count } } }
  }

  private static func measure(_ data: String, _ parts: [Part], _ method: Method) -> Row {
    let stored = Stored()
    let total = parts.reduce(0) { $0 + $1.bytes.count }
    let writing = best(parts.count) { number in
      let bytes = parts[number].bytes
      switch method {
      case .frames(let type):
        let encoder = FrameEncoder()
        return { stored.set(number, Array(encoder.encode(bytes, type).bytes)) }
      case .zstd(let level):
        let target = MemoryBlock(byteCount: ZSTD_compressBound(bytes.count))
        return {
          let count = ZSTD_compress(target.pointer, target.byteCount, bytes.baseAddress, bytes.count, level)
          stored.set(number, Array(UnsafeRawBufferPointer(start: target.pointer, count: count)))
        }
      }
    }
    let reading = best(parts.count) { number in
      let bytes = stored.get(number)
      let target = MemoryBlock(byteCount: parts[number].bytes.count)
      switch method {
      case .frames(let type):
        let decoder = FrameDecoder()
        return {
          bytes.withUnsafeBytes { bytes in
            _ = Frame.hash(bytes)
            try? decoder.decode(bytes, .zstd, type, count: target.byteCount / type.byteCount) { first, block in
              target.pointer.advanced(by: first * type.byteCount).copyMemory(
                from: block.baseAddress!, byteCount: block.count)
              return true
            }
          }
        }
      case .zstd:
        return {
          _ = bytes.withUnsafeBytes { ZSTD_decompress(target.pointer, target.byteCount, $0.baseAddress, $0.count) }
        }
      }
    }
    return Row(
      data: data, method: method.name, ratio: Double(total) / Double(max(1, stored.count)),
      compression: Double(total) / writing, decompression: Double(total) / reading)
  }

  /// The seconds of the fastest of three passes of all threads.
  private static func best(_ threads: Int, _ prepare: @Sendable (Int) -> () -> Void) -> Double {
    (0..<3).map { _ in
      let work = Works(threads, prepare)
      let start = ContinuousClock.now
      Workers.run(threads) { work.run($0) }
      return (ContinuousClock.now - start) / .seconds(1)
    }.min() ?? .infinity
  }

  private final class Works: @unchecked Sendable {
    private let works: [() -> Void]
    init(_ count: Int, _ prepare: (Int) -> () -> Void) { works = (0..<count).map(prepare) }
    func run(_ number: Int) { works[number]() }
  }

  /// Normal deviates of 0.02, like initial weights.
  private static func normals(_ count: Int) -> [Float] {
    var state: UInt64 = 1
    func uniform() -> Double {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return (Double(state >> 33) + 1) / 2_147_483_649
    }
    return (0..<count).map { _ in Float(0.02 * (-2 * log(uniform())).squareRoot() * cos(2 * .pi * uniform())) }
  }

  private static func floats(_ kind: TensorKind, _ reader: CheckpointReader, count: Int) throws -> [Float] {
    var result: [Float] = []
    for tensor in reader.manifest.tensors where tensor.key.kind == kind && tensor.type == .float32 {
      guard result.count < count else { break }
      result += try reader.array(tensor.key, .float32, of: Float.self)
    }
    return Array(result.prefix(count))
  }
}
