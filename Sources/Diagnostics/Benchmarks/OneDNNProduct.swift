import COneDNN
import Foundation
import Tensors

/// The product [M, K] · [K, N] of oneDNN with weights in its preferred layout, as the reference of benchmarks.
final class OneDNNProduct {
  /// The version of the library.
  static var version: String? {
    let number = dnnl_version().pointee
    return "\(number.major).\(number.minor).\(number.patch)"
  }

  private var engine: dnnl_engine_t?
  private var stream: dnnl_stream_t?
  private var primitive: dnnl_primitive_t?
  private var arguments: [dnnl_exec_arg_t] = []
  private var memory: [AlignedBuffer<UInt8>] = []

  /// Returns nil if this version of oneDNN or this machine does not support the product.
  init?(_ types: Types, rows: Int, outputs: Int, inputs: Int) {
    Self.useOneThread()
    guard dnnl_engine_create(&engine, dnnl_cpu, 0) == dnnl_success,
      dnnl_stream_create(&stream, engine, dnnl_stream_default_flags.rawValue) == dnnl_success
    else { return nil }
    let (source, weights, target) = types.operands
    var a = dnnl_memory_desc_t()
    var b = dnnl_memory_desc_t()
    var c = dnnl_memory_desc_t()
    guard Self.describe(&a, [rows, inputs], source, dnnl_ab),
      Self.describe(&b, [inputs, outputs], weights, dnnl_format_tag_any),
      Self.describe(&c, [rows, outputs], target, dnnl_ab)
    else { return nil }
    var product = dnnl_matmul_desc_t()
    var plan: dnnl_primitive_desc_t?
    guard dnnl_matmul_desc_init(&product, &a, &b, nil, &c) == dnnl_success,
      dnnl_primitive_desc_create(&plan, &product, nil, engine, nil) == dnnl_success
    else { return nil }
    defer { dnnl_primitive_desc_destroy(plan) }
    guard dnnl_primitive_create(&primitive, plan) == dnnl_success,
      let packed = dnnl_primitive_desc_query_md(plan, dnnl_query_weights_md, 0)
    else { return nil }
    for (argument, description) in [(DNNL_ARG_SRC_0, a), (DNNL_ARG_WEIGHTS_0, packed.pointee), (DNNL_ARG_DST_0, c)] {
      guard add(argument, description) else { return nil }
    }
  }

  deinit {
    for argument in arguments { dnnl_memory_destroy(argument.memory) }
    dnnl_primitive_destroy(primitive)
    dnnl_stream_destroy(stream)
    dnnl_engine_destroy(engine)
  }

  /// Computes the product once.
  func run() {
    let status = dnnl_primitive_execute(primitive, stream, Int32(arguments.count), arguments)
    precondition(status == dnnl_success, "oneDNN's product failed with status \(status.rawValue)")
    dnnl_stream_wait(stream)
  }

  private func add(_ argument: Int32, _ description: dnnl_memory_desc_t) -> Bool {
    var description = description
    let bytes = dnnl_memory_desc_get_size(&description)
    let buffer = AlignedBuffer<UInt8>(count: bytes)
    // 0x3c in all bytes is a small positive number in every type.
    buffer.bufferPointer.update(repeating: 0x3c)
    var handle: dnnl_memory_t?
    guard dnnl_memory_create(&handle, &description, engine, buffer.pointer) == dnnl_success else { return false }
    memory.append(buffer)
    arguments.append(dnnl_exec_arg_t(arg: argument, memory: handle))
    return true
  }

  private static func describe(
    _ description: inout dnnl_memory_desc_t, _ shape: [Int], _ type: dnnl_data_type_t, _ tag: dnnl_format_tag_t
  ) -> Bool {
    let extents = shape.map(Int64.init) + [Int64](repeating: 0, count: Int(DNNL_MAX_NDIMS) - shape.count)
    return dnnl_memory_desc_init_by_tag(&description, Int32(shape.count), extents, type, tag) == dnnl_success
  }

  /// oneDNN gets its number of threads from OpenMP. The function is looked up at run time, since it has no header here and
  /// is missing in builds without OpenMP.
  private static func useOneThread() {
    guard let symbol = dlsym(nil, "omp_set_num_threads") else { return }
    unsafeBitCast(symbol, to: (@convention(c) (Int32) -> Void).self)(1)
  }
}

extension OneDNNProduct.Types {
  fileprivate var operands: (dnnl_data_type_t, dnnl_data_type_t, dnnl_data_type_t) {
    switch self {
    case .fp32: (dnnl_f32, dnnl_f32, dnnl_f32)
    case .bf16: (dnnl_bf16, dnnl_bf16, dnnl_f32)
    case .u8s8: (dnnl_u8, dnnl_s8, dnnl_s32)
    }
  }
}
