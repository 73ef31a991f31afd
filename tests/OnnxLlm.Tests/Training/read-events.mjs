// Prints the events of a TensorBoard file as JSON, one per line. Frames and checksums are read by the npm package tfrecord, messages by
// protobufjs, with TensorFlow's field numbers: nothing here is shared with the program that wrote the file.
import { createRequire } from 'node:module';
const require = createRequire(process.argv[2]);
const { RecordReader } = require('tfrecord/lib/record_reader.js');
const protobuf = require('protobufjs');

const { root } = protobuf.parse(`syntax = "proto3";
message Event { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; SessionLog session_log = 7; }
message SessionLog { int32 status = 1; }
message Summary { repeated Value value = 1; message Value { string tag = 1; float simple_value = 2; Tensor tensor = 8; Metadata metadata = 9; } }
message Metadata { Plugin plugin_data = 1; }
message Plugin { string plugin_name = 1; }
message Tensor { int32 dtype = 1; Shape tensor_shape = 2; repeated bytes string_val = 8; }
message Shape { repeated Dim dim = 2; message Dim { int64 size = 1; } }`, { keepCase: true });
const Event = root.lookupType('Event');

const reader = await RecordReader.create(process.argv[3]);
for (let record; (record = await reader.readRecord()) !== null;) {
  const event = Event.toObject(Event.decode(record), { longs: Number });
  for (const value of event.summary?.value ?? []) if (value.tensor) value.text = Buffer.from(value.tensor.string_val[0]).toString('utf8');
  console.log(JSON.stringify(event));
}
