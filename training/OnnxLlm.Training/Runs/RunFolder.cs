using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using OnnxLlm.Runtime;
using OnnxLlm.Training.Configuration;

namespace OnnxLlm.Training.Runs;

/// <summary>The folder of one run: what is in it, under which names. One process at a time may train in it.</summary>
internal sealed class RunFolder
{
    private const string RecordFile = "run.json";

    private RunFolder(string path) => Root = path;

    public string Root { get; }

    /// <summary>By which exported packages name the run.</summary>
    public string Name => Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(Root)));

    public string Metrics => Path.Combine(Root, "metrics.jsonl");

    /// <summary>The graphs that the run executes, as files with a manifest.</summary>
    public string Artifacts => Path.Combine(Root, "artifacts");

    /// <summary>Working file of an optimizer state that is kept out of memory; worth nothing once the process has ended.</summary>
    public string OptimizerState => Path.Combine(Root, "optimizer-state.safetensors");

    public string Checkpoints => Path.Combine(Root, "checkpoints");

    /// <summary>A folder for a new run, not made yet; one that holds a run already is refused.</summary>
    public static RunFolder Create(string path)
    {
        if (File.Exists(Path.Combine(path, RecordFile)))
            throw new TrainingException($"'{path}' holds a run already. Continue it with: resume {path}, or name another folder with --run.");
        return new RunFolder(path);
    }

    public static RunFolder Open(string path) => File.Exists(Path.Combine(path, RecordFile))
        ? new RunFolder(path)
        : throw new TrainingException($"'{path}' is not a run: it has no {RecordFile}.");

    /// <summary>Keeps other processes out until it is disposed; the system lets go of it when a process is killed.</summary>
    public IDisposable Lock()
    {
        try
        {
            Directory.CreateDirectory(Root);
            return new FileStream(Path.Combine(Root, ".lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e)
        {
            throw new TrainingException($"'{Root}' is being trained by another process.", e);
        }
    }

    public void Write(RunRecord record) => WriteText(RecordFile, JsonSerializer.Serialize(record, StrictJson.Options));

    public RunRecord Read()
    {
        try
        {
            var json = JsonNode.Parse(File.ReadAllText(Path.Combine(Root, RecordFile)))!;
            var record = json.Deserialize<RunRecord>(StrictJson.Options)!;
            return record.ConfigHash == HashOf(json["config"]!.ToJsonString(StrictJson.Options)) ? record : throw new TrainingException($"{RecordFile} of '{Root}' was edited: its config no longer has the recorded hash.");
        }
        catch (JsonException e)
        {
            throw new TrainingException($"{RecordFile} of '{Root}' is damaged: {e.Message}", e);
        }
    }

    public static string HashOf(RunConfig config) => HashOf(JsonSerializer.Serialize(config, StrictJson.Options));

    /// <summary>Of the text as it was written: keys that later versions add have no part in it.</summary>
    private static string HashOf(string config) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(config)));

    private void WriteText(string name, string text) =>
        AtomicFile.Write(Path.Combine(Root, name), stream => stream.Write(Encoding.UTF8.GetBytes(text + "\n")));
}
