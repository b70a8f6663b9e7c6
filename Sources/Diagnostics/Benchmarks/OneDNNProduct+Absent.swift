/// Stands for the product of oneDNN in builds that leave oneDNN out (`QUILLAN_ONEDNN=0`); benchmarks then have no row of it.
final class OneDNNProduct {
  /// The version of the library: none.
  static var version: String? { nil }

  /// Returns nil, as for a product that oneDNN does not support.
  init?(_ types: Types, rows: Int, outputs: Int, inputs: Int) { nil }

  /// Never called, because no instance exists.
  func run() {}
}
