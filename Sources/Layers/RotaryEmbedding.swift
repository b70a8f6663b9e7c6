import Foundation
import Tensors

/// Rotary position embedding in half-split form: pair (a, b) = (i, i + h/2) of a head of h features becomes
/// (a cos − b sin, b cos + a sin) with angle = position · base^(−2i/h) (Su et al., 2021, arXiv:2104.09864). The tables of
/// cosines and sines are [position, h/2].
public struct RotaryEmbedding: Sendable {
  public let headDim: Int
  private let cosines: AlignedBuffer<Float>
  private let sines: AlignedBuffer<Float>
  private let positions: Int

  public init(headDim: Int, base: Double, positions: Int) {
    self.headDim = headDim
    self.positions = positions
    let half = headDim / 2
    cosines = AlignedBuffer(count: positions * half)
    sines = AlignedBuffer(count: positions * half)
    for position in 0..<positions {
      for index in 0..<half {
        let angle = Double(position) * pow(base, -2 * Double(index) / Double(headDim))
        cosines.pointer[position * half + index] = Float(cos(angle))
        sines.pointer[position * half + index] = Float(sin(angle))
      }
    }
  }

  /// Rotates the first `heads` heads of the row `x`; `inverse` rotates back (the transpose, for gradients).
  func apply(_ x: Vector, heads: Int, position: Int, inverse: Bool = false) {
    precondition(position < positions, "position \(position) of \(positions)")
    precondition(heads * headDim <= x.count, "\(heads) heads of \(headDim) features in a row of \(x.count)")
    let half = headDim / 2
    let cosine = cosines.pointer + position * half
    let sine = sines.pointer + position * half
    let sign: Float = inverse ? -1 : 1
    for head in 0..<heads {
      let a = x.pointer + head * headDim
      let b = a + half
      for index in 0..<half {
        let first = a[index]
        let second = b[index]
        let s = sign * sine[index]
        a[index] = first * cosine[index] - second * s
        b[index] = second * cosine[index] + first * s
      }
    }
  }
}
