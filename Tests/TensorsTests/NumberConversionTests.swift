import CKernels
import Foundation
import TestSupport
import Testing

@Suite("Half, bfloat16 and logarithm")
struct NumberConversionTests {
  @Test("All 65,536 halves convert as Swift's Float16 does, and back to themselves")
  func halvesRoundTrip() {
    for bits in UInt16.min...UInt16.max {
      let half = Float16(bitPattern: bits)
      let value = ck_f32_from_f16(bits)
      if half.isNaN {
        #expect(value.isNaN)
        #expect(ck_f16_from_f32(value) & 0x7E00 == 0x7E00)
      } else {
        #expect(value.bitPattern == Float(half).bitPattern)
        #expect(ck_f16_from_f32(value) == bits)
      }
    }
  }

  @Test("Rounding to half is that of Swift's Float16: ties to even, subnormals, overflow to infinity")
  func halfRounding() {
    // Between every pair of neighbouring halves: the middle, and one fp32 step to either side of it.
    for bits in UInt16(0)..<0x7C00 {
      let low = ck_f32_from_f16(bits)
      let high = bits == 0x7BFF ? 65536 : ck_f32_from_f16(bits + 1)
      let middle = low / 2 + high / 2
      for value in [middle, middle.nextUp, middle.nextDown, low.nextUp, high.nextDown] {
        for signed in [value, -value] {
          #expect(ck_f16_from_f32(signed) == Float16(signed).bitPattern, "\(signed)")
        }
      }
    }
    let edges: [Float] = [65519.996, 65520, 65536, 1e10, .greatestFiniteMagnitude, .infinity, 1e-8, 2.98e-8, 0x1p-149]
    for value in edges {
      #expect(ck_f16_from_f32(value) == Float16(value).bitPattern, "\(value)")
    }
    #expect(ck_f16_from_f32(65520) == 0x7C00 && ck_f16_from_f32(65519.996) == 0x7BFF)
    var numbers = RandomNumbers(seed: 17)
    for _ in 0..<100_000 {
      let value = Float(bitPattern: UInt32(truncatingIfNeeded: numbers.integer(below: 1 << 32)))
      if !value.isNaN { #expect(ck_f16_from_f32(value) == Float16(value).bitPattern) }
    }
  }

  @Test("All bfloat16 values round-trip; rounding goes to nearest, ties to even")
  func bfloat16() {
    for bits in UInt16.min...UInt16.max {
      let value = ck_f32_from_bf16(bits)
      #expect(value.bitPattern == UInt32(bits) << 16)
      if value.isNaN {
        #expect(ck_f32_from_bf16(ck_bf16_from_f32(value)).isNaN)
      } else {
        #expect(ck_bf16_from_f32(value) == bits)
      }
      guard bits & 0x7FFF < 0x7F80 else { continue }
      // Half way to the next pattern, and one fp32 step to either side: infinity follows the largest number.
      let middle = UInt32(bits) << 16 | 0x8000
      #expect(ck_bf16_from_f32(Float(bitPattern: middle)) == (bits & 1 == 0 ? bits : bits + 1))
      #expect(ck_bf16_from_f32(Float(bitPattern: middle - 1)) == bits)
      #expect(ck_bf16_from_f32(Float(bitPattern: middle + 1)) == bits + 1)
    }
    #expect(ck_f32_from_bf16(ck_bf16_from_f32(Float(bitPattern: 0x7F80_0001))).isNaN)
  }

  @Test("The logarithm is within 1e-15 of libm's, relative, and 0 at 1")
  func logarithm() {
    var numbers = RandomNumbers(seed: 18)
    var arguments: [Double] = [0.5, 2, 0.70710678118654746, 0.70710678118654757, 1 + 0x1p-52, 1 - 0x1p-53, 10, 1e300]
    arguments += [.leastNormalMagnitude, .greatestFiniteMagnitude, 50257]
    arguments += (0..<20_000).map { _ in exp(Double(numbers.normal(20))) }
    arguments += (0..<20_000).map { _ in 1 + Double(numbers.normal(0.01)) }
    for x in arguments {
      #expect(abs(ck_log(x) - log(x)) <= 1e-15 * abs(log(x)), "\(x)")
    }
    #expect(ck_log(1) == 0)
  }
}
