using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Runtime;
using OnnxLlm.Tests.Support;
using OnnxLlm.Tests.Text;
using OnnxLlm.Text;
using OnnxLlm.Tools;
using OnnxLlm.Tools.Evaluation;

namespace OnnxLlm.Tests.Tools;

/// <summary>
/// A folder with what the tools work on: a tokenizer, a training run with two checkpoints, and token shards whose validation text the model itself wrote,
/// so that the model predicts it as well as it can be predicted and any harm to the model shows.
/// </summary>
internal sealed class Workshop : IDisposable
{
    public const int Context = 32, ValidationTokens = 400;

    private readonly TemporaryFolder _folder = new();

    public Workshop()
    {
        Tokenizer = BpeTrainer.Train([string.Concat(Enumerable.Repeat("the people of the United States and the Congress of the people ", 4))], new() { VocabularySize = 280 });
        Tokenizer.Save(At("data/tokenizer"));
        Model = TinyModel.Random(
            TinyModel.Named("llama-16").Config with
            {
                VocabularySize = Tokenizer.VocabularySize,
                MaxPositions = Context,
                TiedEmbeddings = true,
                BosTokenId = null,
                EosTokenId = null,
            }, seed: 2);
        WriteShards();
        WriteCheckpoint(step: 10, loss: 2.5, Model);
        WriteCheckpoint(step: 20, loss: 3.5, TinyModel.Random(Model.Config, seed: 3));
        WriteRun();
    }

    public Tokenizer Tokenizer { get; }

    /// <summary>The model of the better checkpoint.</summary>
    public TinyModel Model { get; }

    public string At(string path) => _folder.File(path);

    /// <summary>Runs a command as the program does: exit code, and what went to the two outputs. <c>@x</c> stands for a path in the folder.</summary>
    public (int Code, string Output, string Error) Run(params string[] arguments)
    {
        using StringWriter output = new(), error = new();
        int code = ToolsProgram.Run([.. arguments.Select(a => a.StartsWith('@') ? At(a[1..]) : a)], output, error);
        return (code, output.ToString(), error.ToString().Replace(_folder.Path + Path.DirectorySeparatorChar, "@", StringComparison.Ordinal));
    }

    /// <summary>The package of the better checkpoint.</summary>
    public void Export() => Assert.Equal(0, Run("export", "--run", "@runs/tiny", "--out", "@models/tiny").Code);

    public void Dispose() => _folder.Dispose();

    private void WriteShards()
    {
        using var writer = new ShardWriter(At("data/shards"), new()
        {
            VocabularySize = Tokenizer.VocabularySize,
            Separator = Tokenizer.Special.Eos!.Value,
            TokenizerHash = Tokenizer.Hash,
            CorpusHash = "none",
        });
        writer.Add(Split.Train, "a", Tokenizer.Encode("the people of the United States"));
        writer.Add(Split.Valid, "b", OwnWords());
        writer.Finish();
    }

    /// <summary>Tokens drawn from the model's own distribution, in the windows in which they will be scored.</summary>
    private int[] OwnWords()
    {
        using var model = SequenceModel.ForAnswering(GenerationRun.Export(Model), Context, threads: 1);
        var random = new Random(5);
        int[] tokens = new int[ValidationTokens];
        for (int i = 1; i < tokens.Length; i++)
        {
            int past = (i - 1) % Context;
            tokens[i] = Draw(model.Append(tokens.AsSpan(i - 1, 1), past), random);
        }
        return tokens;
    }

    private static int Draw(ReadOnlySpan<float> logits, Random random)
    {
        double[] weights = [.. logits.ToArray().Select(l => Math.Exp(l))];
        double rest = random.NextDouble() * weights.Sum();
        int token = 0;
        while (token < weights.Length - 1 && (rest -= weights[token]) > 0) token++;
        return token;
    }

    private void WriteCheckpoint(int step, double loss, TinyModel model)
    {
        string folder = At($"runs/tiny/checkpoints/step-{step:D8}"), weights = Path.Combine(folder, "model.safetensors");
        Directory.CreateDirectory(folder);
        Safetensors.Write(weights, ModelParameters.Of(model.Config).Select(p => SafetensorsSource.Of(
            p.Name, ElementType.Float, p.Shape, MemoryMarshal.AsBytes(model.Weight(p.Name).AsSpan()).ToArray())));
        File.WriteAllText(Path.Combine(folder, "state.json"), JsonSerializer.Serialize(new { format = 1, step, validation_loss = loss }));
        File.WriteAllText(Path.Combine(folder, "SHA256SUMS"), $"{Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(weights)))}  model.safetensors\n");
    }

    private void WriteRun() => _folder.Write("runs/tiny/run.json", new JsonObject
    {
        ["format"] = 1,
        ["data"] = new JsonObject { ["tokenizer"] = Tokenizer.Hash },
        ["config"] = new JsonObject { ["model"] = Model.Config.ToJson(), ["data"] = At("data/shards") },
    }.ToJsonString());
}
