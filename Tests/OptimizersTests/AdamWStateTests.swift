import CKernels
import Foundation
import Optimizers
import Parameters
import Tensors
import TestSupport
import Testing

@Suite("AdamW over whole models")
struct AdamWStateTests {
  /// A table with tensors at awkward lengths, of which one decays and one is long enough for several threads.
  private static let table = ParameterTable([
    ParameterSpecification("a.weight", [3, 100], .linear(.fp32), .normal(deviation: 0.02), isDecayed: true),
    ParameterSpecification("b.bias", [77], .dense, .zeros),
    ParameterSpecification("c.norm.weight", [1], .dense, .ones),
    ParameterSpecification("d.weight", [40, 5000], .linear(.fp32), .normal(deviation: 0.02), isDecayed: true),
  ])

  private static func parts() -> [ParameterPart] { table.ids.map { ParameterPart($0, 0..<table[$0].count) } }

  /// Weights and moments after `steps` steps with gradients that differ by orders of magnitude between elements.
  private static func run(
    _ format: MomentFormat, steps: Int = 4, shares: Int = 1, threads: Int = 1
  ) -> (weights: [Float], codes: [UInt8]) {
    let pool = WorkerPool(threads: threads)
    let (masters, gradients) = (ParameterStore(table), ParameterStore(table))
    masters.initialize(seed: 3, pool: pool)
    let states = (0..<shares).map {
      AdamWState(
        AdamW(), table: table, parts: ParameterPart.share(parts(), index: $0, of: shares), format: format,
        threads: threads)
    }
    var numbers = RandomNumbers(seed: 5)
    for step in 1...steps {
      for index in 0..<gradients.buffer.count {
        gradients.buffer[index] = Float(numbers.normal(1)) * pow(10, Float(index % 5 - 4))
      }
      for state in states {
        state.step(
          masters: masters, gradients: gradients, learningRate: 1e-3, step: step, clipScale: 0.5, pool: pool)
      }
    }
    let codes = states.flatMap { state in
      format == .int8
        ? state.parts.flatMap { part in
          Array(UnsafeBufferPointer(start: state.secondMoments.codes(part.id), count: part.elements.count))
        } : []
    }
    return (masters.buffer.array, codes)
  }

  @Test("Threads and shares of the parameters change no bit", arguments: MomentFormat.allCases)
  func splits(_ format: MomentFormat) {
    let whole = Self.run(format)
    for (shares, threads) in [(1, 2), (1, 3), (2, 1), (3, 2)] {
      let split = Self.run(format, shares: shares, threads: threads)
      #expect(split.weights == whole.weights)
      #expect(split.codes == whole.codes)
    }
  }

  @Test("With fp32 moments a step gives the bits of the elementwise specification")
  func specification() {
    let (masters, gradients) = (ParameterStore(Self.table), ParameterStore(Self.table))
    let pool = WorkerPool(threads: 2)
    masters.initialize(seed: 3, pool: pool)
    let state = AdamWState(AdamW(), table: Self.table, parts: Self.parts(), format: .fp32, threads: 2)
    let arena = Arena()
    let expected = Self.table.ids.map { AdamW.Tensor(starting: Array(masters.values($0)), in: arena) }
    var numbers = RandomNumbers(seed: 4)
    for step in 1...3 {
      for index in 0..<gradients.buffer.count { gradients.buffer[index] = numbers.normal(0.01) }
      state.step(
        masters: masters, gradients: gradients, learningRate: 1e-3, step: step, clipScale: 0.3, pool: pool)
      for id in Self.table.ids {
        expected[id.index].gradients.copy(from: gradients.rows(id).vector)
        AdamW().update(
          expected[id.index], isDecayed: Self.table[id].isDecayed,
          AdamW.Step(learningRate: 1e-3, number: step, clipScale: 0.3))
      }
    }
    for id in Self.table.ids {
      #expect(Array(masters.values(id)) == Array(expected[id.index].weights), "\(Self.table[id].name)")
    }
  }

  @Test("Every instruction set gives the bits of the scalar specification")
  func instructionSets() {
    var factors = ck_adamw(
      clip_scale: 0.7, beta1: 0.9, rest1: 0.1, beta2: 0.999, rest2: 0.001, keep: 0.99999, step_size: 1e-3,
      root_correction: 3, epsilon: 1e-8)
    for count in [1, 7, 15, 16, 17, 33, 129, 1000] {
      var numbers = RandomNumbers(seed: UInt64(count))
      let (start, gradient) = (numbers.normals(count), numbers.normals(count, scale: 0.01))
      var expected = (w: start, m: start.map { $0 / 8 }, v: start.map { $0 * $0 })
      let before = expected
      ck_reference_adamw(Int64(count), &factors, &expected.w, gradient, &expected.m, &expected.v)
      for table in KernelTables.all {
        var found = before
        table.memory.adamw(Int64(count), &factors, &found.w, gradient, &found.m, &found.v)
        #expect(found == expected, "\(table.name), \(count)")
      }
    }
  }

  @Test("8-bit moments have the codes of the scalar specification on every instruction set")
  func codes() {
    for count in [1, 15, 16, 17, 255, 256, 257, 700] {
      var numbers = RandomNumbers(seed: UInt64(count))
      let start = numbers.normals(count)
      let gradients = (0..<3).map { _ in
        numbers.normals(count, scale: 0.01).enumerated().map { $0.offset % 5 == 0 ? 0 : $0.element * Float($0.offset) }
      }
      let expected = EightBits(start, gradients) { ck_reference_adamw_8($0, $1, $2, $3, $4, $5, $6, $7) }
      for table in KernelTables.all {
        #expect(EightBits(start, gradients, table.memory.adamw_8) == expected, "\(table.name), \(count)")
      }
    }
  }

  /// Weights, codes and scales after a step for each of the gradients.
  private struct EightBits: Equatable {
    var weights: [Float]
    var (m, root): ([UInt8], [UInt8])
    var (mScales, rootScales): ([Float], [Float])

    init(
      _ start: [Float], _ gradients: [[Float]],
      _ kernel: (
        Int64, UnsafePointer<ck_adamw>?, UInt32, Int64, UnsafeMutablePointer<Float>?, UnsafePointer<Float>?,
        UnsafePointer<ck_moment>?, UnsafePointer<ck_moment>?
      ) -> Void
    ) {
      weights = start
      m = [UInt8](repeating: 0, count: start.count)
      root = m
      mScales = [Float](repeating: 0, count: (start.count + 255) / 256)
      rootScales = mScales
      var factors = ck_adamw(
        clip_scale: 0.7, beta1: 0.9, rest1: 0.1, beta2: 0.999, rest2: 0.001, keep: 0.99999, step_size: 1e-3,
        root_correction: 3, epsilon: 1e-8)
      for (index, gradient) in gradients.enumerated() {
        m.withUnsafeMutableBufferPointer { m in
          root.withUnsafeMutableBufferPointer { root in
            mScales.withUnsafeMutableBufferPointer { mScales in
              rootScales.withUnsafeMutableBufferPointer { rootScales in
                var first = ck_moment(codes: m.baseAddress, scales: mScales.baseAddress)
                var second = ck_moment(codes: root.baseAddress, scales: rootScales.baseAddress)
                kernel(
                  Int64(gradient.count), &factors, UInt32(index * 77), 512, &weights, gradient, &first, &second)
              }
            }
          }
        }
      }
    }
  }

  @Test("Codes are small floating-point numbers: sign, 4 and 3 bits; 4 and 4 bits; each a different value")
  func values() {
    #expect(ck_moment_value(0) == 0 && ck_root_value(0) == 0)
    #expect(ck_moment_value(127) == 1.875 && ck_root_value(255) == 1.9375)
    #expect(ck_moment_value(1) == 1.125 * 0x1p-15 && ck_root_value(1) == 1.0625 * 0x1p-15)
    for code in UInt8(0)..<255 { #expect(ck_root_value(code) < ck_root_value(code + 1)) }
    for code in UInt8(0)..<127 {
      #expect(ck_moment_value(code) < ck_moment_value(code + 1))
      #expect(ck_moment_value(code | 128) == -ck_moment_value(code))
    }
  }

  @Test("Rounding is without bias: a second moment decays by its factor though a step is far below a code's distance")
  func decay() {
    let count = 256 * 16
    let table = ParameterTable([ParameterSpecification("a", [count], .dense, .zeros)])
    let part = ParameterPart(ParameterID(0), 0..<count)
    let state = AdamWState(AdamW(), table: table, parts: [part], format: .int8, threads: 1)
    let (masters, gradients) = (ParameterStore(table), ParameterStore(table))
    let steps = 400
    // One large gradient a block keeps the scale where it is; the others come once and then decay.
    for step in 1...steps {
      for index in 0..<count {
        gradients.buffer[index] = index % 256 == 0 ? 1 : step == 1 ? 0.02 + 0.001 * Float(index % 200) : 0
      }
      state.step(
        masters: masters, gradients: gradients, learningRate: 1e-6, step: step, clipScale: 1,
        pool: WorkerPool(threads: 1))
    }
    var ratio = 0.0
    for index in 0..<count where index % 256 != 0 {
      let scale = state.secondMoments.scales(part.id)[index / 256]
      let root = Double(ck_root_value(state.secondMoments.codes(part.id)[index]) * scale)
      let first = Double(0.02 + 0.001 * Float(index % 200))
      ratio += root * root / (0.001 * first * first * pow(0.999, Double(steps - 1)))
    }
    ratio /= Double(count - 16)
    #expect(abs(ratio - 1) < 0.1, "\(ratio)")
  }

  @Test("Training with 8-bit moments follows training with fp32 ones")
  func quality() {
    // Logistic regression on 2,000 examples whose features differ by orders of magnitude in size.
    let (examples, features) = (500, 600)
    var numbers = RandomNumbers(seed: 9)
    let truth = numbers.normals(features)
    let sizes = (0..<features).map { pow(10, Float($0 % 4) - 2) }
    let x = (0..<examples).map { _ in zip(numbers.normals(features), sizes).map { $0 * $1 } }
    let labels = x.map { row in zip(zip(row, sizes), truth).reduce(0) { $0 + $1.0.0 / $1.0.1 * $1.1 } > 0 }
    let table = ParameterTable([ParameterSpecification("a", [features], .dense, .zeros)])
    func losses(_ format: MomentFormat) -> [Double] {
      let state = AdamWState(
        AdamW(), table: table, parts: [ParameterPart(ParameterID(0), 0..<features)], format: format, threads: 1)
      let (masters, gradients) = (ParameterStore(table), ParameterStore(table))
      return (1...60).map { step in
        gradients.clear()
        var loss = 0.0
        for (row, label) in zip(x, labels) {
          var logit: Float = 0
          for index in 0..<features { logit += row[index] * masters.buffer.pointer[index] }
          let sign: Float = label ? 1 : -1
          loss += log(1 + exp(-Double(sign * logit)))
          let slope = -sign / (1 + exp(sign * logit)) / Float(examples)
          for index in 0..<features { gradients.buffer.pointer[index] += slope * row[index] }
        }
        state.step(
          masters: masters, gradients: gradients, learningRate: 0.02, step: step, clipScale: 1,
          pool: WorkerPool(threads: 1))
        return loss / Double(examples)
      }
    }
    let (full, eight) = (losses(.fp32), losses(.int8))
    #expect(full[59] < 0.5 * full[0])
    for (a, b) in zip(full, eight) { #expect(abs(a - b) < 0.03 * a + 0.005, "\(a) \(b)") }
  }

  @Test("The squared sums of a store are those of its tensors on any number of threads")
  func squaredSums() {
    let store = ParameterStore(Self.table)
    store.initialize(seed: 1, pool: WorkerPool(threads: 1))
    let wanted = Self.table.ids.map { GradientNorm.squaredSum(store.rows($0).vector) }
    let sums = SquaredSums(Self.table, counting: Self.table.ids)
    let named = zip(Self.table.specifications, wanted).map { (name: $0.name, squaredSum: $1) }
    for threads in 1...3 {
      sums.take(from: store, pool: WorkerPool(threads: threads))
      #expect(sums.values.array.elementsEqual(wanted))
      #expect(sums.norm == GradientNorm.norm(squaredSums: named) && sums.nonfinite == nil)
    }
    let part = SquaredSums(Self.table, counting: [ParameterID(1), ParameterID(3)])
    store.values(ParameterID(3))[70_000] = .infinity
    part.take(from: store, pool: WorkerPool(threads: 1))
    #expect(part.values[0] == 0 && part.values[1] == wanted[1] && part.nonfinite == "d.weight")
  }
}

/// The kernels of every instruction set of this machine.
private struct KernelTables: @unchecked Sendable {
  let name: String
  let memory: ck_memory_table

  static let all: [KernelTables] = {
    var found = [UnsafePointer<ck_table>?](repeating: nil, count: Int(CK_TABLES))
    let count = Int(ck_available(&found, Int32(CK_TABLES)))
    return found.prefix(count).compactMap { $0?.pointee }.map {
      KernelTables(name: String(cString: $0.name), memory: $0.memory.pointee)
    }
  }()
}
