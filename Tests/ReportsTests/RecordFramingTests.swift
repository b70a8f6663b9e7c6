import Reports
import Testing

@Suite struct RecordFramingTests {
  @Test("CRC-32C gives the values of RFC 3720")
  func checksum() {
    #expect(MaskedCRC32C.checksum([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    #expect(MaskedCRC32C.checksum([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
    #expect(MaskedCRC32C.checksum(0..<32) == 0x46DD_794E)
    #expect(MaskedCRC32C.checksum((0..<32).reversed()) == 0x113F_DB5C)
    #expect(MaskedCRC32C.checksum(Array("123456789".utf8)) == 0xE306_9283)
    #expect(MaskedCRC32C.checksum([]) == 0)
  }

  @Test("A record has the bytes that TensorFlow writes")
  func record() {
    // The first record of every event file at wall time 0: Event(file_version: "brain.Event:2").
    let event: [UInt8] = [0x1A, 0x0D] + Array("brain.Event:2".utf8)
    let record = RecordFraming.record(event)
    #expect(Array(record[..<12]) == [15, 0, 0, 0, 0, 0, 0, 0] + [0x6D, 0x53, 0x2B, 0x09])
    #expect(Array(record[12..<27]) == event)
    #expect(Array(record[27...]) == [0xFC, 0x98, 0x51, 0x29])
  }
}
