import CKernels
import Checkpoints
import Formats
import TestSupport
import Testing

/// The contents and sizes of stored slices.
@Suite("Frames")
struct FrameTests {
  @Test("XXH64 gives the published sums of xxHash's test bytes")
  func hash() {
    var generator: UInt64 = 2_654_435_761
    let bytes = (0..<222).map { _ in
      defer { generator = generator &* 11_400_714_785_074_694_797 }
      return UInt8(generator >> 56)
    }
    let prime: UInt64 = 2_654_435_761
    let known: [(Int, UInt64, UInt64)] = [
      (0, 0, 0xEF46_DB37_51D8_E999), (0, prime, 0xAC75_FDA2_929B_17EF), (1, 0, 0xE934_A84A_DB05_2768),
      (1, prime, 0x5014_6076_43A9_B4C3), (4, 0, 0x9136_A0DC_A574_57EE), (14, 0, 0x8282_DCC4_994E_35C8),
      (14, prime, 0xC3BD_6BF6_3DEB_6DF0), (222, 0, 0xB641_AE8C_B691_C174), (222, prime, 0x20CB_8AB7_AE10_C14A),
    ]
    for (count, seed, sum) in known { #expect(ck_xxh64(bytes, Int64(count), seed) == sum, "\(count) bytes") }
    #expect(ck_xxh64(Array("abc".utf8), 3, 0) == 0x44BC_2CF5_AD77_0999)
  }

  private func restored(_ result: FrameEncoder.Result, _ type: SafetensorsDataType, count: Int) throws -> [UInt8] {
    let stored = Array(result.bytes)
    var bytes: [UInt8] = []
    try stored.withUnsafeBytes {
      try FrameDecoder().decode($0, result.encoding, type, count: count) { first, block in
        #expect(first * type.byteCount == bytes.count)
        bytes += block
        return true
      }
    }
    return bytes
  }

  @Test("Every type comes back bit for bit at awkward lengths", arguments: SafetensorsDataType.allCases)
  func roundTrip(type: SafetensorsDataType) throws {
    var numbers = RandomNumbers(seed: 1)
    let encoder = FrameEncoder()
    for count in [1, 2, 7, 255, 256, 4097, Frame.blockElements - 1, Frame.blockElements, 2 * Frame.blockElements + 3] {
      let bytes = numbers.bytes(count * type.byteCount).map { $0 & 0x3F }
      let result = bytes.withUnsafeBytes { encoder.encode($0, type) }
      #expect(Frame.isPlausible(result.encoding, bytes: result.bytes.count, elements: count, type: type))
      #expect(try restored(result, type, count: count) == bytes, "\(count) elements")
    }
  }

  @Test("Zeros take no bytes, and repetitions stay within the ratio that readers accept")
  func encodings() throws {
    let encoder = FrameEncoder()
    let zeros = [Float](repeating: 0, count: 300_000)
    let nothing = zeros.withUnsafeBytes { encoder.encode($0, .float32) }
    #expect(nothing.encoding == .zeros && nothing.bytes.isEmpty)
    #expect(try restored(nothing, .float32, count: 300_000).allSatisfy { $0 == 0 })
    let minus = [Float](repeating: -0.0, count: 300_000)
    let (encoding, stored) = minus.withUnsafeBytes { bytes in
      let result = encoder.encode(bytes, .float32)
      return (result.encoding, Array(result.bytes))
    }
    #expect(encoding == .raw)
    #expect(stored == minus.withUnsafeBytes { Array($0) })
  }

  @Test("Grouped fp32 masters are at least 1.17 and bf16 at least 1.45 times smaller")
  func ratio() {
    var numbers = RandomNumbers(seed: 2)
    let values = (0..<1 << 20).map { _ in Float(numbers.normal(0.02)) }
    let encoder = FrameEncoder()
    let wide = values.withUnsafeBytes { Double($0.count) / Double(encoder.encode($0, .float32).bytes.count) }
    #expect(wide >= 1.17)
    let halves = values.map { UInt16($0.bitPattern >> 16) }
    let narrow = halves.withUnsafeBytes { Double($0.count) / Double(encoder.encode($0, .bfloat16).bytes.count) }
    #expect(narrow >= 1.45)
  }

  @Test("A frame with more, fewer or other bytes than declared is refused")
  func wrongFrames() throws {
    var numbers = RandomNumbers(seed: 3)
    let values = (0..<5000).map { _ in Float(numbers.normal(1)) }
    let encoder = FrameEncoder()
    let stored = values.withUnsafeBytes { Array(encoder.encode($0, .float32).bytes) }
    func isRefused(_ bytes: [UInt8], count: Int = 5000) -> Bool {
      do {
        try bytes.withUnsafeBytes { try FrameDecoder().decode($0, .zstd, .float32, count: count) { _, _ in true } }
        return false
      } catch { return error is FrameDecoder.Fault }
    }
    let isFine = !isRefused(stored)
    #expect(isFine)
    #expect(isRefused(stored, count: 4999))
    #expect(isRefused(stored, count: 5001))
    #expect(isRefused(stored + [0]))
    #expect(isRefused(stored + stored))
    #expect(isRefused([]))
    for length in [1, 5, 12, stored.count - 1] { #expect(isRefused(Array(stored.prefix(length)))) }
  }

  @Test("Implausible sizes are refused without arithmetic that overflows")
  func plausible() {
    #expect(!Frame.isPlausible(.zstd, bytes: Int.max, elements: 1, type: .float32))
    #expect(!Frame.isPlausible(.zstd, bytes: 100, elements: Int.max, type: .float64))
    #expect(!Frame.isPlausible(.zstd, bytes: 100, elements: 25_601, type: .uint8))
    #expect(Frame.isPlausible(.zstd, bytes: 100, elements: 25_600, type: .uint8))
    #expect(!Frame.isPlausible(.zeros, bytes: 1, elements: 1, type: .uint8))
    #expect(!Frame.isPlausible(.raw, bytes: 4, elements: 2, type: .float32))
    #expect(!Frame.isPlausible(.raw, bytes: -4, elements: 2, type: .float32))
  }
}
