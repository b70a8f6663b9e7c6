import CKernels
import Foundation
import Tensors
import TestSupport
import Testing

@Suite("Backward kernels against difference quotients in double")
struct BackwardKernelTests {
  private func slope(_ f: (Double) -> Double, step: Double = 1e-5) -> Double { (f(step) - f(-step)) / (2 * step) }

  @Test("The gradient of RMSNorm, with and without a weight", arguments: KernelTable.all)
  func rmsNorm(_ table: KernelTable) {
    var numbers = RandomNumbers(seed: 13)
    for count in [1, 2, 7, 16, 17, 33] {
      for weighted in [true, false] {
        let (x, w, dy) = (numbers.normals(2 * count), numbers.normals(count), numbers.normals(2 * count))
        var (y, inverse) = (x, [Float](repeating: 0, count: 2))
        table.pointer.pointee.rms_norm(2, Int64(count), x, weighted ? w : nil, 1e-6, &y, &inverse)
        // Gradients are added to what is there.
        var (dx, dw) = ([Float](repeating: 0.5, count: 2 * count), [Float](repeating: 0.25, count: count))
        if weighted {
          table.pointer.pointee.rms_norm_backward(2, Int64(count), x, w, inverse, dy, &dx, &dw)
        } else {
          table.pointer.pointee.rms_norm_backward(2, Int64(count), x, nil, inverse, dy, &dx, nil)
        }
        func loss(x index: Int?, w place: Int?, _ change: Double) -> Double {
          var total = 0.0
          for row in 0..<2 {
            let values = (0..<count).map { Double(x[row * count + $0]) + (row * count + $0 == index ? change : 0) }
            let r = 1 / (values.reduce(0.0) { $0 + $1 * $1 } / Double(count) + 1e-6).squareRoot()
            for column in 0..<count {
              let scale = weighted ? Double(w[column]) + (column == place ? change : 0) : 1
              total += Double(dy[row * count + column]) * values[column] * r * scale
            }
          }
          return total
        }
        for index in 0..<2 * count {
          let expected = slope { loss(x: index, w: nil, $0) }
          #expect(abs(Double(dx[index]) - 0.5 - expected) < 1e-5 * max(1, Double(inverse.max() ?? 1)))
        }
        for index in 0..<count {
          let expected = weighted ? slope { loss(x: nil, w: index, $0) } : 0
          #expect(abs(Double(dw[index]) - 0.25 - expected) < 1e-5)
        }
      }
    }
  }

  @Test("The gradient of gelu", arguments: KernelTable.all)
  func gelu(_ table: KernelTable) {
    let x: [Float] = stride(from: -12, through: 12, by: 0.083).map { Float($0) } + [0, -0.0, 100, -100]
    var dy = [Float](repeating: 2, count: x.count)
    table.pointer.pointee.gelu_backward(Int64(x.count), x, &dy)
    for (value, gradient) in zip(x, dy) {
      let expected = slope { change in
        let moved = Double(value) + change
        return moved * erfc(-moved * 0.5.squareRoot())
      }
      #expect(abs(Double(gradient) - expected) < 2e-6, "at \(value)")
    }
  }

  @Test("Backward kernels give the same bits on every instruction set")
  func sameOnEverySet() {
    var numbers = RandomNumbers(seed: 14)
    for count in KernelTable.awkwardSizes {
      let (x, w, dy) = (numbers.normals(3 * count, scale: 3), numbers.normals(count), numbers.normals(3 * count))
      let results = KernelTable.all.map { table -> [[Float]] in
        var (dx, dw, dGelu, logits) = (x, w, dy, x)
        table.pointer.pointee.rms_norm_backward(3, Int64(count), x, w, [0.3, 0.7, 1.1], dy, &dx, &dw)
        table.pointer.pointee.gelu_backward(Int64(3 * count), x, &dGelu)
        table.pointer.pointee.logit_gradient(Int64(3 * count), &logits, 4, 1.5, Int64(count / 2), 0.7, -0.2, 1.25)
        var part = [Float](repeating: 0, count: 3)
        part.withUnsafeMutableBufferPointer {
          let base = $0.baseAddress!
          table.pointer.pointee.logit_partial(Int64(count), x, base, base + 1, base + 2)
        }
        return [dx, dw, dGelu, logits, part]
      }
      for other in results {
        for (ours, theirs) in zip(other, results[0]) { #expect(sameBits(ours, theirs), "length \(count)") }
      }
    }
  }

  @Test("Partial sums of logits give log-sum-exp and entropy", arguments: KernelTable.all)
  func logitPartial(_ table: KernelTable) {
    var numbers = RandomNumbers(seed: 15)
    for count in KernelTable.awkwardSizes {
      let x = numbers.normals(count, scale: 5)
      var (m, s, w) = (Float(0), Float(0), Float(0))
      table.pointer.pointee.logit_partial(Int64(count), x, &m, &s, &w)
      let most = Double(x.max() ?? 0)
      let terms = x.map { (exp(Double($0) - most), Double($0) - most) }
      let sum = terms.reduce(0.0) { $0 + $1.0 }
      let weighted = terms.reduce(0.0) { $0 + $1.0 * $1.1 }
      #expect(Double(m) == most)
      #expect(abs(Double(s) - sum) < 2e-6 * sum)
      #expect(abs(Double(w) - weighted) < 2e-6 * (1 + abs(weighted)) * 4)
    }
  }

  @Test("The gradient of log-probability and entropy with respect to logits", arguments: KernelTable.all)
  func logitGradient(_ table: KernelTable) {
    var numbers = RandomNumbers(seed: 16)
    for count in [1, 2, 15, 16, 33] {
      for temperature in [1.0, 0.7] {
        let logits = numbers.normals(count, scale: 2)
        let target = numbers.integer(below: count)
        let (a, b) = (0.8, -0.35)
        func distribution(_ index: Int?, _ change: Double) -> (lse: Double, entropy: Double, log: Double) {
          let x = logits.indices.map { (Double(logits[$0]) + ($0 == index ? change : 0)) / temperature }
          let lse = log(x.reduce(0.0) { $0 + exp($1) })
          return (lse, -x.reduce(0.0) { $0 + exp($1 - lse) * ($1 - lse) }, x[target] - lse)
        }
        let exact = distribution(nil, 0)
        var gradient = logits.map { $0 / Float(temperature) }
        table.pointer.pointee.logit_gradient(
          Int64(count), &gradient, Float(exact.lse), Float(exact.entropy), Int64(target), Float(a), Float(b),
          1 / Float(temperature))
        for index in 0..<count {
          let expected = slope {
            let moved = distribution(index, $0)
            return a * moved.log + b * moved.entropy
          }
          #expect(abs(Double(gradient[index]) - expected) < 3e-6)
        }
        // A target outside this chunk adds nothing; a logit of −inf has no gradient.
        var outside = logits
        outside[0] = -.infinity
        table.pointer.pointee.logit_gradient(Int64(count), &outside, 3, 1, Int64(count), 0.5, 0.5, 1)
        #expect(outside[0] == 0)
      }
    }
  }
}
