/// Cuts bytes into the words within which byte-pair merges apply.
///
/// Every byte string has exactly one division, and the words concatenated are the bytes.
protocol WordScanner {
  /// A scanner of bytes that outlive it.
  init(bytes: UnsafeBufferPointer<UInt8>)

  /// The end of the word that begins at `start` in a text that ends at `limit`, which must be above. Calls for one text
  /// are in its order.
  mutating func wordEnd(from start: Int, limit: Int) -> Int
}
