using OnnxLlm.Serving;
using OnnxLlm.Serving.Models;
using OnnxLlm.Tests.Runtime;
using OnnxLlm.Tests.Support;
using OnnxLlm.Text;

namespace OnnxLlm.Tests.Serving;

/// <summary>Real models of a few thousand weights that read texts whole, and the tokenizer of all of them.</summary>
internal static class TextModels
{
    public const int End = 0, Padding = 1, EncoderContext = 32, Seq2SeqContext = 600;

    public static Tokenizer Tokenizer { get; } = BpeTrainer.Train(
        ["Once upon a time there was a small server. It said what it had read, and it said it once more."],
        new BpeSettings { VocabularySize = 300, SpecialTokens = ["<|endoftext|>", "<|pad|>", BpeSettings.MaskToken] });

    /// <summary>Rows of a model's table, the last four of which no token has.</summary>
    public static int Rows => Tokenizer.VocabularySize + 4;

    public static TinyPackage Encoder() => new(TinyModel.Bert(Rows, EncoderContext), Tokenizer);

    public static TinyPackage Classifier(params string[] labels) => new(TinyModel.Bert(Tokenizer.VocabularySize, EncoderContext, [.. labels]), Tokenizer);

    public static TinyPackage Seq2Seq()
    {
        var model = TinyModel.T5(vocabulary: Rows, positions: Seq2SeqContext);
        return new(model with { Config = model.Config with { EosTokenId = End, PadTokenId = Padding, DecoderStartTokenId = Padding } }, Tokenizer);
    }

    public static ModelSource Source(string name, TinyPackage package) => new(name, () => ModelLoader.Load(new() { Model = package.Folder, Name = name, Threads = 1 }), () => "");
}
