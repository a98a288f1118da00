/**
 * Triangles of the surface through each 2 x 2 x 2 cell of a binary mask, as scikit-image's `marching_cubes` (Lewiner's
 * method) lays them; made by test/fixtures/annotations/make_surface_table.py, which explains the letters. Cases 0 to
 * 255, separated by commas; three letters a triangle.
 */
export const SURFACE_CASES: readonly string[] = (
  ',bea,fca,beccef,dhb,dhaahe,bahafhcdhchf,dhchfchef,idc,dbibeiaciaie,idffda,bedeidefi,cibbih,ciaieaihe' +
  ',afbfhbfih,iefhei,ekj,abjjbk,jfkfckaekakc,fcjckjcbk,hkdkjdebdedj,kjhjdhjad,hkejekejfefacafacbdbcbdhb' +
  'he,hkjhjfdhfcdf,idckje,acjijcjikdkikdb,aedkdedkijikijf,fidkfdbkdjfk,cebecjijcjikhki,ihchjcjacjhk,eba' +
  'kjhfhjhfi,hkjfhjihf,jlf,ejbjlbfabfbl,jlaalc,jlelbelcb,jlfhbd,dfafdlhldlhjejh,cdlhldlhjbjhjba,lcdeldh' +
  'edlej,lijidjcfjcjd,ejflfjflificdcicdabadabeaef,idldjldaj,lidldbjlbejb,cfbjbfbjhlhjhli,facjleieleih,a' +
  'jlhalihlbah,ejlielhei,ekffkl,abfblfbkl,ekakcaklc,blcklb,lhkhldfdldfbebf,klfdkfadfhkd,baedhckchckl,cd' +
  'hkchlck,likdkikdecedecf,facbidiblklb,daeldekledli,lidbldklb,likhkiecfceb,lgkgfkakfkahchahcggihliggcf' +
  ',lgklegelaialaibgbiihgghkebg,lihlhk,hmk,kemeambhmbma,fcamkh,bhcmchcmfkfmfke,bdkkdm,eakamkadm,bakfkak' +
  'fmcmfmcd,dmcmecefcmke,hdkdckimkikc,imhkhmhkehebabebadcdadcidih,ahdhakfkakfmimf,hdbmkieikief,mkikcikb' +
  'c,mkiikckeceac,kbaikafiakim,imkeikfie,jemmeh,hmbmabmja,jfmcmfmchahchae,mjfbmfcbfmbh,bdedjedmj,djadmj' +
  ',ebadfcfdjmjd,jfcdjcmjd,jimijcecjcedhde,dbhciamaiamj,haeahdjfmimf,jgmjhghjbfbjbfdgdffiggimhdg,bcecme' +
  'mjecim,acimaijam,jgmgembmembiaibiaggfijfggae,jfijim,mlhlfhjkhjhf,ebhbeafaejfefjlkljlkmhmkehk,cmlmcha' +
  'hchakjka,ejklhmhlbcbl,bjkjbfdfbfdlmld,jkelfmamfmad,cdlmldjbabjk,mgdgkdedkdecjcecjgglcmlggjk,icfcidhd' +
  'imhihmklkmkljfjlifl,ejkdbhfaciml,mlikhjdjhjda,dbhjkemli,imlkfjfkcbck,acfmlijke,jgaglaialaibmbibmggkb' +
  'jkggml,limjke,lfmfhmfeh,hmbbmamlalfa,ehahlalcahml,bhmlbmcbl,feledldmldeb,mlfamfdma,mgdmbgbmelemelaga' +
  'llcggcdbag,mlcmcd,mlifdcdfhehf,imlhdbfac,agdaigialelalemgmeehgghdimg,dbhiml,cgbgibmbibmelemelggfecfg' +
  'gli,faclim,aeblim,mli,lmi,beamil,icmcammaflmf,bicibmembmelfle,mhlhbldildlb,dialaialemelemh,flimilimh' +
  'ihdbdhdbcacbcafcfi,icdlmfhfmfhe,lmccmd,dbmembmelalelac,lmfmafmda,efldelmdledb,hbmblmbcl,healhaclamhl' +
  ',mhbmbalmafla,flmhfmefh,kmemieljelei,aljlaibiaibmkmb,faeafcicflifilmjmlmjkekjfej,ljfmikckikcb,hdidhb' +
  'ebhkehekjmjkjmlilmhim,hkmjilijdadj,hkmcdiebaflj,cdikmhljf,dkmkdecedecjljc,kdbdkmacjljc,fljmekemadam,' +
  'kgbgjbfbjbfdldfdlggmdkmgglj,kmhjelblelbc,lgcgmchcmchakahakggjaljggkm,baeljfkmh,jflkmh,fjiijm,mejembi' +
  'bmbiafai,caiamiajm,cbemcejmeicm,mhjbjhjbfdfbfdi,faidiamejemh,icdahbhamjma,mgjgijcjijcedecedgghemhggd' +
  'i,fjcjdcjmd,acfbedjdedjm,jdamdj,dbejdemdj,jmfmbfbcfbmh,mgjmfgfmchcmchagahheggejfag,mhbambjma,ejmemh,' +
  'mikiekife,bkakiaifaikm,kmikicekcaec,kmickibkc,kmhibdbiefei,dgaghakahakfmfkfmggifdiggmh,hkmebaicd,icd' +
  'mhk,mdcemcfeckme,kgbkagakfmfkfmcgcmmdggdbacg,aekmakdam,dbkdkm,cgbchghcmfmcmfkgkffeggebhkg,acfhkm,bae' +
  'hkm,mhk,ilhhlk,kelalelaibiaibh,kflfkahakahcich,kflfkeichbhc,ildlbdlkb,adedlelkeldi,cdiafblbfblk,kglk' +
  'igikdedkdecgceefggflicg,dchckhclk,hdbceaecklkc,lkfkdfdafkhd,kglghldlhldfbfdfbggefkeggbh,lbclkb,keack' +
  'alkc,baflbfkbl,kefkfl,jeleilehi,jalahlhilabh,ljfecaceihie,bgcbfgfbjhjbjhlglhhiggicflg,ilddlbljbjeb,d' +
  'iljdladj,fljicdeba,cdiflj,cldledehdelj,lgcldgdlhjhlhjbgbjjaggacdbg,agdgfdldfdlhjhlhjggehaeggjf,fljdb' +
  'h,ljebleclb,ljalac,fljaeb,ljf,khjhfjhif,jkehabahfifh,hicjhcajchjk,bgcgecjcecjikijikgghibhggke,ifdfkd' +
  'kbdfjk,dgadegedkikdkijgjiifggfaejg,jgajcgcjikijikdgdkkbggbacdg,cdiejk,khjjhfhdfdcf,ejkfachdb,jkhdjha' +
  'jd,ejkbhd,cfjkcjbck,acfejk,bajbjk,kej,eifehi,fabhfbifh,icaeiahie,icbibh,ebdiedfei,difdfa,aebcdi,dic,' +
  'hdcfhcehf,cfadbh,hdahae,hdb,ebcecf,cfa,eba,'
).split(',')
