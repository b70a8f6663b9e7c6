import Errors
import Exports
import Formats
import LowBit
import TestSupport
import Testing

@Suite("Encoded arrays")
struct BitEncodingFileTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// Encodes an array of 2 × 3 numbers, then writes the file anew with other metadata.
  private func encode(_ change: (inout [String: String]) -> Void) throws -> SafetensorsFile {
    let values: [Float] = [1, -2, 3, 0.5, 0, -0.25]
    try NumpyFile.write(path: folder.path("x.npy"), shape: [2, 3]) { sink in try values.withUnsafeBytes { try sink($0) }
    }
    try BitEncodingFile.encode(
      NumpyFile(path: folder.path("x.npy")), BitEncoder(bits: 4, scaling: .perRow), to: folder.path("x"))
    let file = try SafetensorsFile(path: folder.path("x"))
    var metadata = file.metadata
    change(&metadata)
    let tensors = file.tensors.map { name, entry in
      SafetensorsTensor(name: name, dataType: entry.dataType, shape: entry.shape) { sink in
        try file.withBytes(of: name) { try sink($0) }
      }
    }
    try SafetensorsWriter.write(path: folder.path("y"), tensors: tensors, metadata: metadata)
    return try SafetensorsFile(path: folder.path("y"))
  }

  private func refusal(_ change: (inout [String: String]) -> Void) throws -> SafetensorsError? {
    let file = try encode(change)
    let error = #expect(throws: SafetensorsError.self) {
      try BitEncodingFile.decode(file, to: folder.path("out.npy"))
    }
    #expect(try !folder.names.contains("out.npy"))
    return error
  }

  @Test("The metadata that encoding writes is accepted")
  func unchanged() throws {
    try BitEncodingFile.decode(encode { _ in }, to: folder.path("out.npy"))
    #expect(try NumpyFile(path: folder.path("out.npy")).shape == [2, 3])
  }

  @Test("Another format, a newer version, and metadata without either are refused")
  func foreign() throws {
    for (key, value) in [
      ("format", "quillan-packed"), ("format", nil), ("version", "2"), ("version", "one"), ("version", "0"),
      ("version", nil),
    ] {
      let error = try refusal { $0[key] = value }
      #expect(error?.code == .mismatch && error?.status == .data, "\(key) = \(value ?? "nil")")
    }
    #expect(
      try refusal { $0["version"] = "2" }?.description
        == "\(folder.path("y")): version 2 of the format is newer than this program, which reads version 1; "
        + "decode it with the program that encoded it")
  }

  @Test("Metadata that contradicts the tensors is refused")
  func contradiction() throws {
    for (key, value) in [("bits", "3"), ("bits", "8"), ("scaling", "per_column"), ("shape", "2 x"), ("shape", "3 3")] {
      let error = try refusal { $0[key] = value }
      #expect(error?.code == .mismatch && error?.status == .data, "\(key) = \(value)")
    }
  }
}
