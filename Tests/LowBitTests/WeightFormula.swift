import LowBit

/// The weight and activation values that each format uses, in double, from the definition of the formats.
enum WeightFormula {
  static let scaleFloor = 1e-5

  /// Ŵ [rows, columns] of W.
  static func weights(_ format: NumberFormat, _ w: [Float], columns: Int, group: Int) -> [Double] {
    stride(from: 0, to: w.count, by: columns).flatMap { first -> [Double] in
      let row = w[first..<first + columns].map(Double.init)
      switch format {
      case .fp32: return row
      case .fp16: return row.map { Double(Float16($0)) }
      case .bf16: return row.map(bfloat16)
      case .ternary:
        let mean = row.reduce(0.0) { $0 + abs($1) } / Double(columns)
        return quantized(row, scale: max(mean, scaleFloor), limit: 1)
      case .int8: return quantized(row, scale: max(largest(row), scaleFloor) / 127, limit: 127)
      case .int4:
        let width = min(group, columns)
        return stride(from: 0, to: columns, by: width).flatMap { start -> [Double] in
          let part = Array(row[start..<start + width])
          return quantized(part, scale: max(largest(part), scaleFloor) / 7, limit: 7)
        }
      }
    }
  }

  /// x̂ of x, rows of `columns`.
  static func activations(_ format: NumberFormat, _ x: [Float], columns: Int) -> [Double] {
    stride(from: 0, to: x.count, by: columns).flatMap { first -> [Double] in
      let row = x[first..<first + columns].map(Double.init)
      switch format {
      case .fp32, .fp16: return row
      case .bf16: return row.map(bfloat16)
      case .ternary, .int4, .int8: return quantized(row, scale: max(largest(row), scaleFloor) / 127, limit: 127)
      }
    }
  }

  private static func largest(_ values: [Double]) -> Double { values.reduce(0) { max($0, abs($1)) } }

  private static func quantized(_ values: [Double], scale: Double, limit: Double) -> [Double] {
    values.map { min(max(($0 / scale).rounded(.toNearestOrEven), -limit), limit) * scale }
  }

  /// Rounded to eight significant bits, ties to even.
  private static func bfloat16(_ x: Double) -> Double {
    guard x != 0 else { return x }
    let unit = x.ulp * 0x1p45
    return (x / unit).rounded(.toNearestOrEven) * unit
  }
}
