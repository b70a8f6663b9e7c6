/// Arithmetic on the extents in a file. No value makes it trap.
package enum Extents {
  /// The maximum number of elements or bytes: 2⁴⁸, more than the memory of any machine.
  package static let largest = 1 << 48

  /// The product of the extents; nil if an extent is negative or the product of those other than 0 exceeds `largest`.
  ///
  /// The other extents matter even if one is 0: code that uses part of a shape multiplies them.
  package static func product(_ extents: some Sequence<Int>) -> Int? {
    var (product, isEmpty) = (1, false)
    for extent in extents {
      guard extent >= 0 else { return nil }
      isEmpty = isEmpty || extent == 0
      let (next, overflow) = product.multipliedReportingOverflow(by: max(1, extent))
      guard !overflow, next <= largest else { return nil }
      product = next
    }
    return isEmpty ? 0 : product
  }
}
