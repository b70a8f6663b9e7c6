// The standard library's `withUnsafe(Mutable)BufferPointer` under other names, because these keep the thrown type.

extension Array {
  func withUnsafe<Result>(
    _ body: (UnsafeBufferPointer<Element>) throws(MPIError) -> Result
  ) throws(MPIError) -> Result {
    let outcome = withUnsafeBufferPointer { buffer in
      Swift.Result { () throws(MPIError) in try body(buffer) }
    }
    return try outcome.get()
  }

  mutating func withUnsafeMutable<Result>(
    _ body: (UnsafeMutableBufferPointer<Element>) throws(MPIError) -> Result
  ) throws(MPIError) -> Result {
    let outcome = withUnsafeMutableBufferPointer { buffer in
      let whole = buffer
      return Swift.Result { () throws(MPIError) in try body(whole) }
    }
    return try outcome.get()
  }
}
