import Foundation

/// A safetensors file, parsed independently of the program's reader.
struct SafetensorsContent {
  struct Tensor: Equatable {
    let type: String
    let shape: [Int]
    let bytes: Data
  }

  private(set) var tensors: [String: Tensor] = [:]
  /// The offset of each tensor in the file.
  private(set) var starts: [String: Int] = [:]

  init(_ url: URL) throws {
    let data = try Data(contentsOf: url)
    let length = data.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    let header = try JSONSerialization.jsonObject(with: data.subdata(in: 8..<8 + length))
    guard let entries = header as? [String: [String: Any]] else {
      throw Program.Failure(description: "\(url.path) has no header")
    }
    for (name, entry) in entries where name != "__metadata__" {
      guard let type = entry["dtype"] as? String, let shape = entry["shape"] as? [Int],
        let range = entry["data_offsets"] as? [Int], range.count == 2
      else { throw Program.Failure(description: "\(url.path) has a wrong entry \(name)") }
      let bytes = data.subdata(in: 8 + length + range[0]..<8 + length + range[1])
      tensors[name] = Tensor(type: type, shape: shape, bytes: bytes)
      starts[name] = 8 + length + range[0]
    }
  }
}
