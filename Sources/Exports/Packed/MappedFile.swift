import Foundation

/// A whole file in a private memory map: a write changes this process's copy of a page, never the file.
///
/// Pages are loaded on first access. The file must not shrink while it is mapped (writers of this project never change
/// a file in place; they rename a new file over it).
final class MappedFile: @unchecked Sendable {
  let bytes: UnsafeMutableRawBufferPointer

  init(path: String) throws(PackedFileError) {
    func fault(_ problem: String) -> PackedFileError {
      PackedFileError(.inaccessible, path: path, problem, remedy: "check the path, its permissions and free memory")
    }
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw fault("cannot open the file (\(String(cString: strerror(errno))))") }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw fault("is not a regular file")
    }
    let count = Int(status.st_size)
    guard count > 0 else {
      throw PackedFileError(.foreign, path: path, "is empty", remedy: "write it again with quillan quantize")
    }
    guard let address = mmap(nil, count, PROT_READ | PROT_WRITE, MAP_PRIVATE, descriptor, 0), address != MAP_FAILED
    else { throw fault("cannot map the file (\(String(cString: strerror(errno))))") }
    bytes = UnsafeMutableRawBufferPointer(start: address, count: count)
  }

  deinit { munmap(bytes.baseAddress, bytes.count) }
}
