import Files

/// An `OutputFile` whose errors name the tensor and the byte.
package final class SafetensorsOutput {
  private let file: OutputFile
  /// The size of the finished file; nil for a device or a pipe.
  package var fileSize: Int? { file.fileSize }

  /// - Throws: `SafetensorsError` if `policy` does not allow writing at `path`, or the directory cannot take a file.
  package init(path: String, policy: OutputPolicy) throws(SafetensorsError) {
    do { file = try OutputFile(path, policy) } catch { throw SafetensorsError(error) }
  }

  /// Appends `bytes`; an error names `tensor`.
  package func append(_ bytes: UnsafeRawBufferPointer, tensor: String?) throws(SafetensorsError) {
    do { try file.append(bytes) } catch { throw SafetensorsError(error, tensor: tensor, offset: file.byteCount) }
  }

  /// Makes the file durable and gives it its final name; nothing may be appended afterwards.
  package func commit() throws(SafetensorsError) {
    do { try file.commit() } catch { throw SafetensorsError(error, offset: file.byteCount) }
  }
}

extension SafetensorsError {
  init(_ error: OutputError, tensor: String? = nil, offset: Int? = nil) {
    let code: Code =
      switch error.code {
      case .refused, .inaccessible: .inaccessible
      case .diskFull: .diskFull
      case .writeFailed: .writeFailed
      }
    self.init(
      code: code, path: error.path, tensor: tensor, offset: offset, problem: error.problem, remedy: error.remedy)
  }
}
