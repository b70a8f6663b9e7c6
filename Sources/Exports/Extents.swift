/// Arithmetic on extents that a file claims: nothing here traps, whatever they are.
package enum Extents {
  /// The largest number of elements, or of bytes, that is read: 2⁴⁸, more than any machine's memory.
  package static let largest = 1 << 48

  /// The product of extents, or nil where one is negative or those other than 0 give more than `largest`.
  ///
  /// An extent of 0 does not make the others harmless: whoever takes a part of the shape multiplies them.
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
