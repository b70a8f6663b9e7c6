import CKernels
import Tensors

/// bfloat16 products in each order and by each kind of instruction, with operands in memory as training has them.
extension KernelBenchmark {
  /// The order `tiles` compared with oneDNN, and the order `pairs` by the processor's dot products compared with two
  /// fused multiply-adds, where the processor has dot products.
  static func bfloat16Orders(_ count: Int, _ timer: PairedTimer) -> [Row] {
    let arena = Arena()
    let pairs = inputs / 2
    let left = BFloat16Operand.rows(count, columns: inputs, in: arena)
    left.setRows(Matrix(numbers(count * inputs, in: arena), rows: count, columns: inputs), 0..<count, columnScales: nil)
    let right = BFloat16Operand.pairs(ofRows: inputs, columns: outputs, in: arena)
    right.setPairs(Matrix(numbers(inputs * outputs, in: arena), rows: inputs, columns: outputs), rowScales: nil)
    // Panels of sixteen outputs, as packed weights have them.
    let panels = BFloat16Operand.panels(VectorLanes.panels(outputs), pairs: pairs, in: arena)
    for panel in 0..<VectorLanes.panels(outputs) {
      let to = panels.memory(panel..<panel + 1)
      for pair in 0..<pairs {
        let from = right.memory(pair..<pair + 1)
        for lane in 0..<VectorLanes.count {
          to[pair * VectorLanes.count + lane] = from[panel * VectorLanes.count + lane]
        }
      }
    }
    var product = ck_bf16_product(
      a: left.memory(0..<count).pointer, a_row: Int64(pairs), a_pair: 1,
      b: panels.memory(0..<VectorLanes.panels(outputs)).pointer, b_panel: Int64(pairs * VectorLanes.count),
      b_pair: Int64(VectorLanes.count), pairs: Int64(pairs))
    let result = arena.matrix(count, outputs)
    func run(_ gemm: ck_bf16_gemm) {
      gemm(Int64(count), Int64(outputs), &product, 1, nil, result.pointer, Int64(outputs), false)
    }
    func row(_ name: String, _ reference: String, _ outcome: PairedTimer.Outcome) -> Row {
      Row(
        operation: "bf16 \(name) \(count)×\(outputs)×\(inputs)", seconds: outcome.first,
        work: 2 * Double(count * outputs * inputs), unit: "operations", reference: reference,
        referenceSeconds: outcome.second, speed: 1 / outcome.ratio)
    }
    var rows: [Row] = []
    if let tiles = Kernels.table.pointee.gemm_bf16_tiles {
      if let other = OneDNNProduct(.bf16, rows: count, outputs: outputs, inputs: inputs) {
        rows.append(row("in tiles", "oneDNN bf16", timer.compare({ run(tiles) }, other.run)))
      }
    }
    let variants = ck_bf16_variants()
    if let native = variants.native, let fma = variants.fma {
      rows.append(row("by dot products", "two FMAs", timer.compare({ run(native) }, { run(fma) })))
    }
    return rows
  }
}
